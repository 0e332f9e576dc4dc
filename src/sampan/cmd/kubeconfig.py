"""`sampan kubeconfig`: how kubectl reaches this machine's API, as a file for KUBECONFIG."""

from __future__ import annotations

import argparse
import base64
import sys
from pathlib import Path

_DATA_ROOT = "/var/lib/sampan"
_TEXT = """\
apiVersion: v1
kind: Config
clusters:
- name: sampan
  cluster:
    server: https://{address}
    certificate-authority-data: {ca}
users:
- name: admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: sampan
  context: {{cluster: sampan, user: admin}}
current-context: sampan
"""


def main(argv: list[str]) -> int:
    """Print the kubeconfig of a data root; returns the exit code."""
    parser = argparse.ArgumentParser(prog="sampan kubeconfig", description="Print a kubeconfig with all rights.")
    parser.add_argument("--data-root", default=_DATA_ROOT, metavar="D")
    arguments = parser.parse_args(argv)
    control = Path(arguments.data_root) / "control"
    pki = control / "pki"
    try:
        address = (control / "address").read_text().strip()
        files = {
            "ca": (pki / "ca.crt").read_bytes(),
            "certificate": (pki / "admin.crt").read_bytes(),
            "key": (pki / "admin.key").read_bytes(),
        }
    except FileNotFoundError as error:
        print(
            f"sampan: {error.filename} is not there: no Kubernetes API was started on {arguments.data_root} yet. "
            "Start one with `sampan up`, or `sampan daemon --api-listen 127.0.0.1:6443`",
            file=sys.stderr,
        )
        return 1
    except PermissionError as error:
        print(f"sampan: {error.filename} can be read by root only: use sudo", file=sys.stderr)
        return 1
    encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
    sys.stdout.write(_TEXT.format(address=address, **encoded))
    return 0
