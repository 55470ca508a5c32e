"""Names in generated C: every register, field and fixed macro has its own."""

from collections import Counter

import pytest

from ai8xc.backends.ai8x.c_names import CNames
from ai8xc.registers import load_registers

FIXED = {
    *("CNN_OK", "CNN_FAIL", "CNN_START", "CNN_COMPLETE", "CNN_NUM_OUTPUTS", "CNN_OUTPUT_WORDS"),
    *("CNN_INFERENCE_TIMER", "CNN_GROUPS", "CNN_ALL_GROUPS", "CNN_GROUP_WORDS", "CNN_REG"),
    *("CNN_DATA", "CNN_BIAS", "CNN_ISR", "CNN_IRQn", "CNN_H"),
}


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_macros_differ(device):
    registers = load_registers(device)
    names = CNames(registers)
    for register in registers.registers.values():
        names.register(register.name)
        names.terms(register.name, register.used)
    text = names.macros() + "\n" + names.field_macros()
    defined = [line.split()[1].split("(")[0] for line in text.splitlines() if "#define" in line]
    assert [name for name, count in Counter([*defined, *FIXED]).items() if count > 1] == []


def test_terms_sum_to_the_word():
    registers = load_registers("max78000")
    names = CNames(registers)
    word = registers.encode("LCTL", fixed=1, relu=1, sources=5)
    terms = names.terms("LCTL", word)
    assert terms == ["CNN_LCTL_FIXED", "CNN_LCTL_RELU", "CNN_LCTL_SOURCES(5u)"]
    assert names.terms("LCTL", 0) == ["0u"]
    assert "#define CNN_LCTL_SOURCES(n) ((n) << 12)" in names.field_macros()


def test_long_statements_are_broken():
    lines = CNames(load_registers("max78000")).broken("x = ", ["a" * 60, "b" * 60, "c"], ";")
    assert lines == [f"    x = {'a' * 60} |", f"        {'b' * 60} | c;"]
