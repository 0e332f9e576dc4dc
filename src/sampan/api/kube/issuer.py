"""What others need to judge service accounts' tokens without asking us: the issuer and its keys.

Spec: Kubernetes "ServiceAccount token issuer discovery"; OpenID Connect Discovery 1.0; RFC 7517.
"""

from __future__ import annotations

from sampan.api.kube import answers
from sampan.api.kube.request import Request, Response
from sampan.api.kube.tokens import ISSUER, AccountTokens

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"


class IssuerPages:
    def __init__(self, tokens: AccountTokens, address: str) -> None:
        """`address`: HOST:PORT at which the keys are served."""
        self._tokens = tokens
        self._address = address

    async def page(self, request: Request) -> Response | None:
        """Return the answer, None for another path."""
        if request.path == CONFIGURATION:
            return answers.json(
                {
                    "issuer": ISSUER,
                    "jwks_uri": f"https://{self._address}{KEYS}",
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                }
            )
        if request.path == KEYS:
            keys = answers.json(self._tokens.public_keys())
            return Response(200, keys.body, "application/jwk-set+json")
        return None
