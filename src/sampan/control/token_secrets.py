"""Secrets of type service-account-token get the account's token, and go when the account goes.

Spec: Kubernetes "Managing Service Accounts", "Token controller".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from sampan.client.informer import Informer, Key
from sampan.client.port import Client
from sampan.control.controller import SECRETS, SERVICE_ACCOUNTS
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class TokenSecrets:
    name = "token-secrets"

    def __init__(self, client: Client, issue: Callable[[Object, str], str], root_ca: str) -> None:
        """`issue(account, secret)`: the token of an account, for a secret of that name. `root_ca`: PEM."""
        self._client = client
        self._issue = issue
        self._root_ca = root_ca
        self._secrets = Informer(client, SECRETS, fieldSelector=f"type={TYPE}")
        self._accounts = Informer(client, SERVICE_ACCOUNTS, slim=True)
        self._loop: Loop[Key] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        self._secrets.on_change(lambda old, new: self._loop.queue.add(_key(new or old or {})))
        self._accounts.on_change(self._account_changed)
        self._secrets.start()
        self._accounts.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._secrets.close()
        await self._accounts.close()

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        account = new or old or {}
        for secret in self._secrets:
            if objects.namespace(secret) == objects.namespace(account) and _account(secret) == objects.name(account):
                self._loop.queue.add(_key(secret))

    async def _reconcile(self, key: Key) -> None:
        secret = self._secrets.get(*key)
        if secret is None or objects.deleting(secret):
            return
        account = await self._live(key.namespace, _account(secret))
        uid = objects.annotations(secret).get(UID)
        if account is None or (uid and uid != objects.uid(account)):
            await self._delete(key, secret)
            return
        wanted = self._wanted(secret, account)
        if wanted != secret.get("data") or not uid:
            meta = objects.metadata(secret)
            annotations = {**(meta.get("annotations") or {}), UID: objects.uid(account)}
            changed = {**secret, "metadata": {**meta, "annotations": annotations}, "data": wanted}
            await self._client.update(SECRETS, changed)

    async def _live(self, namespace: str, name: str) -> Object | None:
        """Ask the server: what is read of a watch may be behind, and a secret that is deleted is lost."""
        try:
            return await self._client.get(SERVICE_ACCOUNTS, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def _wanted(self, secret: Object, account: Object) -> Mapping[str, str]:
        data = dict(secret.get("data") or {})
        for key, text in (("ca.crt", self._root_ca), ("namespace", objects.namespace(account))):
            data[key] = base64.b64encode(text.encode()).decode()
        if not data.get("token"):
            token = self._issue(account, objects.name(secret))
            data["token"] = base64.b64encode(token.encode()).decode()
        return data

    async def _delete(self, key: Key, secret: Object) -> None:
        wanted = {"preconditions": {"uid": objects.uid(secret)}}
        try:
            await self._client.delete(SECRETS, key.namespace, key.name, wanted)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _key(obj: Object) -> Key:
    return Key(objects.namespace(obj), objects.name(obj))


def _account(secret: Object) -> str:
    return objects.annotations(secret).get(NAME, "")
