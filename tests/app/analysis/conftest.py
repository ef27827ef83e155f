"""A document of a few segments, and the model under the workbench."""

from __future__ import annotations

import pytest

from app.settings import Settings
from app.workbench import Workbench
from ccf_core import CCF


@pytest.fixture
def sha256(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(120) + " Zoë's 東京 🙂", "Log").document.sha256


@pytest.fixture
def codec(settings: Settings) -> CCF:
    return CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
