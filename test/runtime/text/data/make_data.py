#!/usr/bin/env python3
"""Writes the tokenizers of this folder and what the `tokenizers` library makes of texts and ids.

Needs only `pip install tokenizers`. Run it from any folder; it overwrites NAME.json and NAME.expected.json.
"""

import json
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, __version__
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent

CORPUS = [
    "The quick brown fox jumps over the lazy dog. def main(argc, argv):\n    return argc + 1\n" * 4,
    "I'll say you're right, DON'T I? It's what we'd said; they've gone.\n\n" * 4,
    "Grüße aus München. Año, niño, café, naïve. Привет, мир, как дела?\n" * 4,
    "中文分词测试，你好世界。日本語のテスト、カタカナ。 한국어 시험\n" * 4,
    "12345 67890 3.14159 2024-01-31 ½ ² ٣٤٥ \t\t x  y   z\r\n" * 4,
    "😀😀 👍🏽 👩‍👩‍👧 🇩🇪 e\u0301 a\u0300\n" * 4,
]

# What the text vectors are made of, besides a few written down.
PIECES = (
    list("aAbBeE zZ  \t\n\r\v\f'sSlLtTdD10239½²٣۴.,;:!?-_(){}[]<|>$+=~^`\"\\/")
    + list("éßſıİñçüàœŁжЯΩμ中文字一二日本語ひらカタ가나한국😀")
    + "👩‍👩‍👧 🇩🇪 \u200d \ufe0f \u0301 \u0300 \u0323 \u00a0 \u3000 \u2028 \u0085 \u180e \u200b \ufeff \u00ad".split(" ")
    + "\u1680 \u202f 'll 'RE 's <s> </s> <think> <|tool|> lL é1 aA aAb \r\n \x00 \x7f ٱلْ हिन्दी ไทย ①② Ⅷ 𝔘𝔫 ﬆ K".split(" ")
    + ["\u212b", "\uac00\u11a8", "\u1100\u1161", "\u0344", "\ufb1d", "<|im_start|>", "<|eot_id|>"]
    + ["<｜end▁of▁sentence｜>", "   ", "\n\n"]
)
TEXTS = [
    "", " ", "  ", "\n", "Hello, world!", " leading and trailing ", "def f(x):\n    return x**2  # 1234567\n",
    "I'LL we'Ll 'tis DON'T", "12345678901 ½ ² ٣٤٥", "a  b   c\t\td\r\n\r\n  e", "中文分词，测试 abc 日本語カタカナ한국어",
    "naïve café Ω≈ç√∫", "😀👍🏽👩‍👩‍👧🇩🇪", "e\u0301 a\u0323\u0307 \u212b \u1100\u1161\u11a8", "\x00\x01\x7f\u0085\u180e x",
    "<think>x</think><|tool|> y", "before<｜end▁of▁sentence｜>after", "a <s> b </s> c<s></s>", "<|im_start|>user\nhi<|im_end|>",
]

DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace("{1,3}", "")


def train(tokenizer, size, special=()):
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})


def make(model, steps):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def deepseek():
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in DEEPSEEK]
    tokenizer = make(models.BPE(), steps + [byte_level()])
    tokenizer.normalizer = normalizers.Sequence([])
    bos = "<｜begin▁of▁sentence｜>"
    train(tokenizer, 420, [bos, "<｜end▁of▁sentence｜>"])
    tokenizer.add_tokens(
        [
            AddedToken("<think>", normalized=True),
            AddedToken("<｜User｜>", normalized=True),
            AddedToken("<|tool|>", normalized=False, special=True),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, 0)]
    )
    return tokenizer


def llama3():
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    tokenizer = make(models.BPE(ignore_merges=True), [split, byte_level()])
    train(tokenizer, 420)
    bos = "<|begin_of_text|>"
    tokenizer.add_special_tokens([bos, "<|end_of_text|>", "<|eot_id|>"])
    template = processors.TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {bos} $B",
        special_tokens=[(bos, tokenizer.token_to_id(bos))],
    )
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template]
    )
    return tokenizer


def qwen():
    split = pre_tokenizers.Split(Regex(QWEN), "isolated")
    tokenizer = make(
        models.BPE(continuing_subword_prefix="", end_of_word_suffix=""), [split, byte_level()]
    )
    tokenizer.normalizer = normalizers.NFC()
    train(tokenizer, 420)
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("\u00e91", normalized=True)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def every_option():
    """No public model has this one; it uses what the others leave out."""
    tokenizer = make(
        models.BPE(),
        [
            pre_tokenizers.Punctuation("merged_with_previous"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(" ", "merged_with_next"),
            pre_tokenizers.Split(Regex("[aeiou]+"), "removed"),
            pre_tokenizers.Split(Regex("[k-t]"), "contiguous", invert=True),
            byte_level(add_prefix_space=True, use_regex=True),
        ],
    )
    train(tokenizer, 300)
    tokenizer.add_special_tokens(
        [
            AddedToken("<s>", lstrip=True, normalized=False),
            AddedToken("</s>", rstrip=True, normalized=False),
        ]
    )
    tokenizer.add_tokens(
        [
            AddedToken("lL", single_word=True, normalized=False),
            AddedToken("é1", normalized=True),
            AddedToken("aA", normalized=True, lstrip=True, rstrip=True),
            AddedToken("aAb", normalized=False),
        ]
    )
    ids = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=ids
    )
    return tokenizer


def expected(tokenizer, rng):
    texts = TEXTS + ["".join(rng.choices(PIECES, k=rng.randint(1, 24))) for _ in range(120)]
    encoded = [
        {
            "text": text,
            "ids": tokenizer.encode(text).ids,
            "plain_ids": tokenizer.encode(text, add_special_tokens=False).ids,
        }
        for text in texts
    ]
    size = tokenizer.get_vocab_size()
    lists = [rng.choices(range(size + 3), k=rng.randint(1, 12)) for _ in range(120)]
    decoded = [
        {
            "ids": ids,
            "text": tokenizer.decode(ids),
            "full_text": tokenizer.decode(ids, skip_special_tokens=False),
        }
        for ids in lists
    ]
    return {"tokenizers": __version__, "encode": encoded, "decode": decoded}


def dump_lines(value):
    """One case a line: diffs stay readable."""
    lines = [f'"tokenizers": {json.dumps(value["tokenizers"])}']
    for key in ("encode", "decode"):
        cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in value[key])
        lines.append(f'"{key}": [\n{cases}\n]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    for build in (deepseek, llama3, qwen, every_option):
        tokenizer = build()
        tokenizer.save(str(HERE / f"{build.__name__}.json"), pretty=False)
        value = expected(tokenizer, random.Random(build.__name__))
        (HERE / f"{build.__name__}.expected.json").write_text(dump_lines(value))


if __name__ == "__main__":
    main()
