"""What Sampan uses of etcd's API: methods, messages and texts of refusals.

Spec: etcd v3.5 api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto, api/v3rpc/rpctypes/error.go.
"""

from __future__ import annotations

from typing import Final

MESSAGES: Final = {
    "KeyValue": "1 key bytes, 2 create_revision int64, 3 mod_revision int64, 4 version int64, 5 value bytes, 6 lease int64",
    "Event": "1 type int32, 2 kv KeyValue, 3 prev_kv KeyValue",
    "ResponseHeader": "1 cluster_id uint64, 2 member_id uint64, 3 revision int64, 4 raft_term uint64",
    "RangeRequest": "1 key bytes, 2 range_end bytes, 3 limit int64, 4 revision int64, 8 keys_only bool, 9 count_only bool",
    "RangeResponse": "1 header ResponseHeader, 2 kvs KeyValue*, 3 more bool, 4 count int64",
    "PutRequest": "1 key bytes, 2 value bytes, 3 lease int64",
    "PutResponse": "1 header ResponseHeader",
    "DeleteRangeRequest": "1 key bytes",
    "DeleteRangeResponse": "1 header ResponseHeader, 2 deleted int64",
    "RequestOp": "1 request_range RangeRequest, 2 request_put PutRequest, 3 request_delete_range DeleteRangeRequest",
    "ResponseOp": "1 response_range RangeResponse, 2 response_put PutResponse, 3 response_delete_range DeleteRangeResponse",
    "Compare": "1 result int32, 2 target int32, 3 key bytes, 6 mod_revision int64?",
    "TxnRequest": "1 compare Compare*, 2 success RequestOp*, 3 failure RequestOp*",
    "TxnResponse": "1 header ResponseHeader, 2 succeeded bool, 3 responses ResponseOp*",
    "CompactionRequest": "1 revision int64, 2 physical bool",
    "CompactionResponse": "1 header ResponseHeader",
    "WatchCreateRequest": "1 key bytes, 2 range_end bytes, 3 start_revision int64, 4 progress_notify bool, 6 prev_kv bool",
    "WatchProgressRequest": "",
    "WatchRequest": "1 create_request WatchCreateRequest, 3 progress_request WatchProgressRequest",
    "WatchResponse": "1 header ResponseHeader, 2 watch_id int64, 3 created bool, 4 canceled bool, 5 compact_revision int64, "
    "6 cancel_reason string, 11 events Event*",
    "LeaseGrantRequest": "1 TTL int64, 2 ID int64",
    "LeaseGrantResponse": "1 header ResponseHeader, 2 ID int64, 3 TTL int64, 4 error string",
    "LeaseRevokeRequest": "1 ID int64",
    "LeaseRevokeResponse": "1 header ResponseHeader",
    "LeaseKeepAliveRequest": "1 ID int64",
    "LeaseKeepAliveResponse": "1 header ResponseHeader, 2 ID int64, 3 TTL int64",
    "StatusRequest": "",
    "StatusResponse": "1 header ResponseHeader, 2 version string",
}
"""Message -> its fields: number, name, type. `*`: repeated; `?`: of a oneof, so that zero is sent, too."""

RANGE: Final = ("/etcdserverpb.KV/Range", "RangeRequest", "RangeResponse")
TXN: Final = ("/etcdserverpb.KV/Txn", "TxnRequest", "TxnResponse")
COMPACT: Final = ("/etcdserverpb.KV/Compact", "CompactionRequest", "CompactionResponse")
WATCH: Final = ("/etcdserverpb.Watch/Watch", "WatchRequest", "WatchResponse")
LEASE_GRANT: Final = ("/etcdserverpb.Lease/LeaseGrant", "LeaseGrantRequest", "LeaseGrantResponse")
LEASE_REVOKE: Final = ("/etcdserverpb.Lease/LeaseRevoke", "LeaseRevokeRequest", "LeaseRevokeResponse")
LEASE_KEEP_ALIVE: Final = ("/etcdserverpb.Lease/LeaseKeepAlive", "LeaseKeepAliveRequest", "LeaseKeepAliveResponse")
STATUS: Final = ("/etcdserverpb.Maintenance/Status", "StatusRequest", "StatusResponse")
"""Methods, each with its request and its response."""

COMPARE_MOD: Final = 2
EVENT_DELETE: Final = 1
HAS_LEADER: Final = (("hasleader", "true"),)
"""Metadata that ends a stream of a member that has lost its leader, instead of leaving it mute."""

OLDEST: Final = (3, 5, 8)
"""The first version whose requested progress notifications are in order with events."""

# refusals, by a part of their text; a request that got one has done nothing
COMPACTED: Final = "required revision has been compacted"
FUTURE: Final = "required revision is a future revision"
NO_SPACE: Final = "database space exceeded"
NO_LEASE: Final = "requested lease not found"
TOO_MANY_OPS: Final = "too many operations in txn request"
TOO_LARGE: Final = ("request is too large", "received message larger than max")
TOO_MANY_REQUESTS: Final = "too many requests"
LEARNER: Final = "not supported for learner"
