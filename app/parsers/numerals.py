"""Write whole numbers above 0 in letters and in Roman numerals, as lists are numbered."""

LATIN = "abcdefghijklmnopqrstuvwxyz"
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def roman(number: int) -> str:
    """Write a number in small Roman numerals."""
    letters = ""
    for worth, sign in _ROMAN:
        times, number = divmod(number, worth)
        letters += sign * times
    return letters


def repeated(number: int, alphabet: str = LATIN) -> str:
    """Write a letter as office programs do: y, z, aa, bb; digits from the thirtieth time on."""
    times, letter = divmod(number - 1, len(alphabet))
    return alphabet[letter] * (times + 1) if times < 30 else str(number)


def counted(number: int) -> str:
    """Write letters as browsers do: y, z, aa, ab."""
    letters = ""
    while number:
        number, letter = divmod(number - 1, len(LATIN))
        letters = LATIN[letter] + letters
    return letters


def written(number: int, form: str, browser: bool = False) -> str:
    """Write a number in the form 1, a, A, i or I, in digits what that form has no signs for."""
    if form in ("a", "A") and number > 0:
        letters = counted(number) if browser else repeated(number)
    elif form in ("i", "I") and 0 < number < 4_000:
        letters = roman(number)
    else:
        return str(number)
    return letters.upper() if form.isupper() else letters
