"""Exports need packages that are not the library's own; without them they say what to install."""

import sys

import pytest

from fsrepro import export


@pytest.mark.parametrize(
    ("call", "package", "message"),
    [
        (export.to_spikingjelly, "torch", r"pip install torch 'spikingjelly>=2'"),
        (export.to_spikingjelly, "spikingjelly", r"pip install torch 'spikingjelly>=2'"),
        (export.to_nir, "nir", "pip install nir"),
        (lambda snn: export.write_nir(snn, "never"), "nir", "pip install nir"),
    ],
)
def test_says_what_to_install(call, package, message, monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("fsrepro.export.", f"{package}.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=message):
        call(None)
