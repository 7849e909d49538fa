from __future__ import annotations

from ipaddress import IPv6Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.decode import addresses
from capture.decode.addresses import AddressBook
from capture.decode.columns import IPV6_BASE


def wire(packed: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.frombuffer(b"".join(packed), "V16")


def test_ipv4_is_its_value() -> None:
    book = AddressBook()
    assert book.number("10.40.40.1") == 0x0A282801
    assert book.text(0x0A282801) == "10.40.40.1"
    assert book.text(0xFFFFFFFF) == "255.255.255.255"
    assert book.number_of(b"\x0a\x28\x28\x01") == 0x0A282801
    assert len(book) == 0


@pytest.mark.parametrize("text", ["fd10::1", "[fd10::1]", "FD10:0::1", "fd10::1%eth0"])
def test_ipv6_has_one_number(text: str) -> None:
    book = AddressBook()
    number = int(book.ipv6(wire([IPv6Address("fd10::1").packed]))[0])
    assert number == IPV6_BASE
    assert book.number(text) == number
    assert book.text(number) == "fd10::1"


@pytest.mark.parametrize("text", ["", "proxy.example.com", "1.2.3", "1.2.3.256", "fd10::x"])
def test_names_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        AddressBook().number(text)


def test_other_lengths_are_no_addresses() -> None:
    with pytest.raises(ValueError, match="4 or 16"):
        AddressBook().number_of(b"12345")


def test_unknown_numbers() -> None:
    with pytest.raises(IndexError):
        AddressBook().text(IPV6_BASE)


few = st.integers(0, 5).map(lambda i: (i * 0x0101_0000_0000_0001).to_bytes(16, "big"))


@pytest.mark.parametrize("colliding", [False, True])
@given(batches=st.lists(st.lists(few | st.binary(min_size=16, max_size=16), max_size=9)))
def test_batches_agree_with_single_look_ups(colliding: bool, batches: list[list[bytes]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if colliding:
            patch.setattr(addresses, "_mix", lambda high, low: high & np.uint64(1))
        book = AddressBook()
        for batch in batches:
            numbers = book.ipv6(wire(batch)).tolist()
            assert numbers == [book.number_of(packed) for packed in batch]
            assert [IPv6Address(book.text(n)).packed for n in numbers] == batch
    assert len(book) == len({packed for batch in batches for packed in batch})


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, unique=True), st.data())
def test_forgotten_addresses_get_new_numbers_and_the_others_keep_theirs(
    addresses: list[bytes], data: st.DataObject
) -> None:
    book = AddressBook()
    numbers = {address: book.number_of(address) for address in addresses}
    texts = {number: book.text(number) for number in numbers.values()}
    stay = data.draw(st.sets(st.sampled_from(addresses)))
    book.keep([numbers[address] for address in stay] + [1, max(texts) + 1])
    assert len(book) == len(stay)
    wire = np.frombuffer(b"".join(addresses), "V16")
    again = dict(zip(addresses, book.ipv6(wire).tolist(), strict=True))
    for address in addresses:
        if address in stay:
            assert again[address] == numbers[address]
        else:
            assert again[address] > max(numbers.values())
            with pytest.raises(IndexError):
                book.text(numbers[address])
        assert book.text(again[address]) == texts[numbers[address]]
