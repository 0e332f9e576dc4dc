"""A classic BPF machine, to run seccomp programs on made-up calls."""

import struct

AUDIT = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7}


def run(program: bytes, *, number: int, arch: int, arguments: tuple[int, ...] = ()) -> int:
    """Return the program's answer (SECCOMP_RET_…) for one system call."""
    words = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(*arguments, *(0,) * 6)[:6])
    rows = list(struct.iter_unpack("=HBBI", program))
    accumulator, index, memory = 0, 0, [0] * 16
    while True:
        code, yes, no, value = rows[index]
        index += 1
        kind = code & 0x07
        if kind == 0x06:
            return value
        if kind == 0x05:
            test = code & 0xF0
            if test == 0x00:
                index += value
                continue
            hit = {
                0x10: accumulator == value,
                0x20: accumulator > value,
                0x30: accumulator >= value,
                0x40: bool(accumulator & value),
            }[test]
            index += yes if hit else no
        elif code == 0x20:
            accumulator = struct.unpack_from("=I", words, value)[0]
        elif kind == 0x04:
            accumulator = {0x50: accumulator & value, 0x40: accumulator | value}[code & 0xF0]
        elif kind == 0x02:
            memory[value] = accumulator
        elif code & 0xE7 == 0x60:
            accumulator = memory[value]
        else:
            raise AssertionError(f"instruction {code:#x}")


def verdict(profile: dict, name: str, first: int = 0) -> str | int:
    """Return "allow" or the errno that an OCI profile gives to `name(first, …)`: the first allowing rule wins."""
    answer: str | int = profile.get("defaultErrnoRet", 1)
    for rule in profile["syscalls"]:
        if name not in rule["names"] or not all(_holds(row, first) for row in rule.get("args") or ()):
            continue
        if rule["action"] == "SCMP_ACT_ALLOW":
            return "allow"
        answer = rule.get("errnoRet", 1)
    return answer


def _holds(row: dict, first: int) -> bool:
    assert row["index"] == 0
    value, other = row["value"], row.get("valueTwo", 0)
    return {
        "SCMP_CMP_NE": first != value,
        "SCMP_CMP_LT": first < value,
        "SCMP_CMP_LE": first <= value,
        "SCMP_CMP_EQ": first == value,
        "SCMP_CMP_GE": first >= value,
        "SCMP_CMP_GT": first > value,
        "SCMP_CMP_MASKED_EQ": first & value == other,
    }[row["op"]]
