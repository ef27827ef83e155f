"""Languages that a base was hardly trained for, by the words that its tokenizer cuts to pieces."""

from __future__ import annotations

import random

import pytest

from ccf_core.base.language import is_foreign
from ccf_core.base.load import Base, load_base
from ccf_core.evaluation.rows import DATA, load_rows

FOREIGN = {
    "Arabic": "قام قائد الميناء بعد السفن مرة أخرى في المساء لأن الضباب أخفى سبعا منها في الصباح.",
    "Chinese": "港务长在晚上又数了一遍船只,因为早晨的雾遮住了其中七艘。",
    "Dutch": "De havenmeester telde de schepen 's avonds nog een keer, omdat de mist er zeven had verborgen. "
    "Niemand wist waar de lading naartoe was gebracht en de verzekering wilde niet betalen.",
    "Finnish": "Satamakapteeni laski laivat illalla uudelleen, koska sumu oli aamulla kätkenyt niistä seitsemän.",
    "French": "Le capitaine du port a compté les navires une seconde fois, car le brouillard en avait caché sept.",
    "German": "Der Hafenmeister zählte am Abend die Schiffe noch einmal, weil der Nebel sieben verborgen hatte.",
    "Hindi": "बंदरगाह के कप्तान ने शाम को जहाजों को फिर से गिना, क्योंकि सुबह कोहरे ने उनमें से सात को छिपा दिया था।",
    "Japanese": "港長は夕方に船をもう一度数えた。朝は霧で七隻が隠れていたからだ。",
    "Korean": "항만장은 저녁에 배를 다시 세었다. 아침에 안개가 그중 일곱 척을 가렸기 때문이다.",
    "Indonesian": "Kepala pelabuhan menghitung kapal-kapal itu sekali lagi, karena kabut menyembunyikan tujuh.",
    "Polish": "Kapitan portu policzył statki jeszcze raz wieczorem, ponieważ rano mgła ukryła siedem z nich.",
    "Russian": "Капитан порта вечером ещё раз пересчитал корабли, потому что утром туман скрыл семь из них.",
    "Spanish": "El capitán del puerto contó los barcos otra vez por la tarde, porque la niebla había ocultado siete.",
    "Vietnamese": "Người quản lý cảng đã đếm lại các con tàu vào buổi tối, vì sương mù đã che khuất bảy chiếc.",
}


@pytest.mark.model
@pytest.mark.parametrize("language", FOREIGN)
def test_another_language_is_recognised(real_base: Base, language: str) -> None:
    assert is_foreign(FOREIGN[language], real_base.tokenizer)
    assert not is_foreign(FOREIGN[language][:6], real_base.tokenizer)


@pytest.mark.model
def test_english_of_every_kind_is_not(real_base: Base) -> None:
    texts = [row["text"] for row in load_rows(DATA / "text.jsonl.xz", ("text",))]
    asked = [row["question"] for row in load_rows(DATA / "qa.jsonl.xz", ("question",))]
    samples = random.Random(0).sample(texts, 150), random.Random(0).sample(asked, 500)
    found = [sum(is_foreign(text, real_base.tokenizer) for text in some) for some in samples]
    assert found[0] == 0
    assert found[1] <= 3
    assert not is_foreign("for (int i = 0; i < 10; i++) { std::cout << xs[i]; } // 0xFF", real_base.tokenizer)


def test_nothing_is_foreign_to_a_tokenizer_that_cuts_all_alike(tiny_folder) -> None:
    tokenizer = load_base(tiny_folder("llama"), device="cpu", dtype="float32").tokenizer
    assert not is_foreign(FOREIGN["German"], tokenizer)
