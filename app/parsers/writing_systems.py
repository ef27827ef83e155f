"""Writing systems without spaces between words, each as ranges for a character class of a regular expression."""

#: Chinese and Japanese: Han, its radicals, kana, bopomofo.
EAST_ASIAN = "\u2e80-\u2fdf\u3005-\u3007\u3031-\u3035\u3040-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
#: The punctuation of these, and characters as wide as theirs.
WIDE = "\u3000-\u303f\uff01-\uffef"
#: With Thai, Lao, Burmese and Khmer.
UNSPACED = EAST_ASIAN + "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
