"""Identifiers have their forms, and are not had twice."""

import uuid

from sampan.base.ids import random_id, random_name, random_uid


def test_uids_are_random_uuids():
    made = {random_uid() for _ in range(1000)}
    assert len(made) == 1000
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_ids_are_64_hex_digits():
    assert len(bytes.fromhex(random_id())) == 32


def test_names_are_not_taken_twice():
    taken = set()
    for _ in range(200):
        name = random_name(taken)
        assert name not in taken
        taken.add(name)
