"""Whether one pattern provably matches everything that another one does.

A proof or nothing: `covers` says True only where each alternative of the narrower pattern is contained in a single
alternative of the wider one, field by field and comparison by comparison. Several ranges that together cover a wider
one, or several alternatives that do, are not looked for.
"""

from __future__ import annotations

from connectors.core.pattern import Branch, Key, Pattern
from connectors.core.pattern_operators import (
    Absent,
    AnythingBut,
    Check,
    Cidr,
    Equals,
    Exists,
    IgnoreCase,
    Numeric,
    Prefix,
    PrefixIgnoreCase,
    Suffix,
    SuffixIgnoreCase,
    Wildcard,
)

_Caseless = IgnoreCase | PrefixIgnoreCase | SuffixIgnoreCase
_CASELESS = (IgnoreCase, PrefixIgnoreCase, SuffixIgnoreCase)
_OF_TEXT = (IgnoreCase, Prefix, PrefixIgnoreCase, Suffix, SuffixIgnoreCase, Wildcard, Cidr)


def covers(wider: Pattern, narrower: Pattern) -> bool:
    """True: every event that matches `narrower` matches `wider`. False: it does not, or that was not proven."""
    return all(any(_branch(wide, narrow) for wide in wider.branches) for narrow in narrower.branches)


def _branch(wide: Branch, narrow: Branch) -> bool:
    beside = {one.path: one for one in narrow.keys}
    return all(
        one.always
        or (
            one.path in beside
            and all(any(_implies(fine, broad) for broad in one.tests) for fine in beside[one.path].tests)
            and not (one.absent and _elsewhere(one, wide, narrow))
        )
        for one in wide.keys
    )


def _elsewhere(one: Key, wide: Branch, narrow: Branch) -> bool:
    """Whether the narrower pattern may look for the missing field in fewer elements of a list.

    `exists: false` asks only about the elements that the fields before it fitted in: such fields make it weaker."""
    top, known = one.path.partition(".")[0], {key.path for key in wide.keys}
    return any(key.path.partition(".")[0] == top and key.path not in known for key in narrow.keys)


def _implies(fine: Check, broad: Check) -> bool:
    """Whether whatever fits `fine` fits `broad`."""
    if fine == broad:
        return True
    if isinstance(fine, Absent) or isinstance(broad, Absent):
        return False
    if isinstance(broad, Exists):
        return True
    if isinstance(fine, Numeric) and fine.low is not None and fine.low == fine.high:
        return broad.fits(fine.low)
    if isinstance(fine, Equals):
        return broad.fits(fine.value)
    if isinstance(broad, AnythingBut):
        return all(_leaves_out(fine, one) for one in broad.tests)
    if isinstance(fine, Numeric):
        return isinstance(broad, Numeric) and _within(fine, broad)
    if isinstance(fine, Cidr):
        return isinstance(broad, Cidr) and _contains(broad, fine)
    return _text_implies(fine, broad)


def _leaves_out(fine: Check, one: Check) -> bool:
    if isinstance(fine, AnythingBut):
        return any(_implies(one, other) for other in fine.tests)
    return _apart(fine, one)


def _text_implies(fine: Check, broad: Check) -> bool:
    """What begins with a text that the broad one fits goes on to fit it; likewise at the end."""
    if isinstance(fine, _CASELESS) and isinstance(broad, _CASELESS):
        return fine.text.isascii() and broad.text.isascii() and _caseless_implies(fine, broad)
    if isinstance(broad, Prefix | PrefixIgnoreCase):
        return isinstance(fine, _OF_TEXT) and broad.fits(_begins(fine))
    if isinstance(broad, Suffix | SuffixIgnoreCase):
        return isinstance(fine, _OF_TEXT) and broad.fits(_ends(fine))
    return isinstance(broad, Wildcard) and _like(broad, fine)


def _caseless_implies(fine: _Caseless, broad: _Caseless) -> bool:
    """For ASCII, of which every character has one other case at most."""
    inner, outer = fine.text.lower(), broad.text.lower()
    if isinstance(broad, PrefixIgnoreCase):
        return not isinstance(fine, SuffixIgnoreCase) and inner.startswith(outer)
    if isinstance(broad, SuffixIgnoreCase):
        return not isinstance(fine, PrefixIgnoreCase) and inner.endswith(outer)
    return isinstance(fine, IgnoreCase) and inner == outer


def _begins(check: Check) -> str:
    """What every text that fits begins with."""
    if isinstance(check, Wildcard):
        return check.pieces[0]
    return check.text if isinstance(check, Prefix) else ""


def _ends(check: Check) -> str:
    if isinstance(check, Wildcard):
        return check.pieces[-1]
    return check.text if isinstance(check, Suffix) else ""


def _apart(one: Check, other: Check) -> bool:
    """Whether nothing fits both."""
    for first, second in ((one, other), (other, one)):
        if isinstance(first, Equals):
            return not second.fits(first.value)
        if isinstance(first, Numeric) and isinstance(second, _OF_TEXT):
            return True
    begins, ends = (_begins(one), _begins(other)), (_ends(one), _ends(other))
    return not (begins[0].startswith(begins[1]) or begins[1].startswith(begins[0])) or not (
        ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])
    )


def _within(fine: Numeric, broad: Numeric) -> bool:
    def low() -> bool:
        if broad.low is None:
            return True
        if fine.low is None:
            return False
        return fine.low > broad.low or (fine.low == broad.low and (fine.low_open or not broad.low_open))

    def high() -> bool:
        if broad.high is None:
            return True
        if fine.high is None:
            return False
        return fine.high < broad.high or (fine.high == broad.high and (fine.high_open or not broad.high_open))

    return low() and high()


def _contains(broad: Cidr, fine: Cidr) -> bool:
    wide, narrow = broad.network, fine.network
    return (
        wide.version == narrow.version
        and wide.prefixlen <= narrow.prefixlen
        and int(wide.network_address) >> (wide.max_prefixlen - wide.prefixlen)
        == int(narrow.network_address) >> (wide.max_prefixlen - wide.prefixlen)
    )


_ANY = "\ue000"
"""Stands for "any text" in a sample; a private character, which a wildcard that has it itself is not proven with."""


def _like(broad: Wildcard, fine: Check) -> bool:
    """The narrower one is read as a text with "any text" in it, which only an asterisk of the wider one may take."""
    if isinstance(fine, Prefix):
        sample = fine.text + _ANY
    elif isinstance(fine, Suffix):
        sample = _ANY + fine.text
    elif isinstance(fine, Wildcard):
        sample = _ANY.join(fine.pieces)
    else:
        # Whatever else is a text fits "*".
        return not any(broad.pieces) and isinstance(fine, _OF_TEXT)
    return not any(_ANY in piece for piece in broad.pieces) and broad.fits(sample)
