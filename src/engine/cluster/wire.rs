//! The messages of etcd's version 3 API that this engine sends and receives.
//!
//! Fields that nothing here uses are left out: protobuf skips what it does not know. The numbers
//! are those of etcd's `rpc.proto`, `kv.proto` and `auth.proto`, which never change.

use bytes::Bytes;
use prost::{Message, Oneof};

/// What every response begins with.
#[derive(Clone, PartialEq, Message)]
pub struct ResponseHeader {
    #[prost(uint64, tag = 1)]
    pub cluster_id: u64,
    #[prost(int64, tag = 3)]
    pub revision: i64,
}

/// A key with its value and its history.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(bytes = "bytes", tag = 1)]
    pub key: Bytes,
    #[prost(int64, tag = 2)]
    pub create_revision: i64,
    #[prost(int64, tag = 3)]
    pub mod_revision: i64,
    #[prost(bytes = "bytes", tag = 5)]
    pub value: Bytes,
    /// The lease on which the key hangs, or 0.
    #[prost(int64, tag = 6)]
    pub lease: i64,
}

/// Ascending, etcd's natural order.
pub const ASCENDING: i32 = 0;
/// Descending by key. The server reads the whole range for it.
pub const DESCENDING: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    #[prost(bytes = "bytes", tag = 1)]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = 2)]
    pub range_end: Bytes,
    #[prost(int64, tag = 3)]
    pub limit: i64,
    #[prost(int64, tag = 4)]
    pub revision: i64,
    #[prost(int32, tag = 5)]
    pub sort_order: i32,
    #[prost(bool, tag = 7)]
    pub serializable: bool,
    #[prost(bool, tag = 8)]
    pub keys_only: bool,
    #[prost(bool, tag = 9)]
    pub count_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct RangeResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = 2)]
    pub kvs: Vec<KeyValue>,
    #[prost(bool, tag = 3)]
    pub more: bool,
    #[prost(int64, tag = 4)]
    pub count: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    #[prost(bytes = "bytes", tag = 1)]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = 2)]
    pub value: Bytes,
    #[prost(int64, tag = 3)]
    pub lease: i64,
    /// Whether the value stays as it is. The key must exist.
    #[prost(bool, tag = 5)]
    pub ignore_value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeleteRangeRequest {
    #[prost(bytes = "bytes", tag = 1)]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = 2)]
    pub range_end: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeleteRangeResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(int64, tag = 2)]
    pub deleted: i64,
}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct RequestOp {
    #[prost(oneof = "Request", tags = "1, 2, 3, 4")]
    pub request: Option<Request>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Request {
    #[prost(message, tag = 1)]
    Range(RangeRequest),
    #[prost(message, tag = 2)]
    Put(PutRequest),
    #[prost(message, tag = 3)]
    DeleteRange(DeleteRangeRequest),
    #[prost(message, tag = 4)]
    Txn(TxnRequest),
}

impl From<Request> for RequestOp {
    fn from(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct ResponseOp {
    #[prost(oneof = "Response", tags = "1, 2, 3, 4")]
    pub response: Option<Response>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Response {
    #[prost(message, tag = 1)]
    Range(RangeResponse),
    #[prost(message, tag = 2)]
    Put(PutResponse),
    #[prost(message, tag = 3)]
    DeleteRange(DeleteRangeResponse),
    #[prost(message, tag = 4)]
    Txn(TxnResponse),
}

#[derive(Clone, PartialEq, Message)]
pub struct PutResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
}

/// Both sides of a comparison are equal.
pub const EQUAL: i32 = 0;
/// The left side, which is of the key, is greater.
pub const GREATER: i32 = 1;

/// What a comparison reads of the key.
pub const VERSION: i32 = 0;
pub const CREATE: i32 = 1;
pub const MOD: i32 = 2;
pub const VALUE: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub struct Compare {
    #[prost(int32, tag = 1)]
    pub result: i32,
    #[prost(int32, tag = 2)]
    pub target: i32,
    #[prost(bytes = "bytes", tag = 3)]
    pub key: Bytes,
    #[prost(oneof = "CompareWith", tags = "4, 5, 6, 7")]
    pub with: Option<CompareWith>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum CompareWith {
    #[prost(int64, tag = 4)]
    Version(i64),
    #[prost(int64, tag = 5)]
    CreateRevision(i64),
    #[prost(int64, tag = 6)]
    ModRevision(i64),
    #[prost(bytes = "bytes", tag = 7)]
    Value(Bytes),
}

#[derive(Clone, PartialEq, Message)]
pub struct TxnRequest {
    #[prost(message, repeated, tag = 1)]
    pub compare: Vec<Compare>,
    #[prost(message, repeated, tag = 2)]
    pub success: Vec<RequestOp>,
    #[prost(message, repeated, tag = 3)]
    pub failure: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TxnResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(bool, tag = 2)]
    pub succeeded: bool,
    #[prost(message, repeated, tag = 3)]
    pub responses: Vec<ResponseOp>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrantRequest {
    #[prost(int64, tag = 1)]
    pub ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrantResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(int64, tag = 2)]
    pub id: i64,
    #[prost(int64, tag = 3)]
    pub ttl: i64,
}

/// A renewal of a lease.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseKeepAliveRequest {
    #[prost(int64, tag = 1)]
    pub id: i64,
}

/// A revocation of a lease.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseRevokeRequest {
    #[prost(int64, tag = 1)]
    pub id: i64,
}

/// The response to a renewal, a revocation or a question. A revocation has a header alone.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(int64, tag = 3)]
    pub ttl: i64,
}

/// The question how long a lease lives.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseTimeToLiveRequest {
    #[prost(int64, tag = 1)]
    pub id: i64,
}

/// A message of the client on a stream of watches.
#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    #[prost(message, optional, tag = 1)]
    pub create: Option<WatchCreateRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WatchCreateRequest {
    #[prost(bytes = "bytes", tag = 1)]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = 2)]
    pub range_end: Bytes,
    #[prost(int64, tag = 3)]
    pub start_revision: i64,
}

/// A message of the server on a stream of watches. It has all events of a revision.
#[derive(Clone, PartialEq, Message)]
pub struct WatchResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(bool, tag = 3)]
    pub created: bool,
    #[prost(bool, tag = 4)]
    pub canceled: bool,
    /// Not 0 if the revision that was asked for has been compacted.
    #[prost(int64, tag = 5)]
    pub compact_revision: i64,
    #[prost(string, tag = 6)]
    pub cancel_reason: String,
    #[prost(message, repeated, tag = 11)]
    pub events: Vec<Event>,
}

/// The kind of an event that is a deletion; 0 is a put.
pub const DELETED: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(int32, tag = 1)]
    pub kind: i32,
    #[prost(message, optional, tag = 2)]
    pub kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AuthenticateRequest {
    #[prost(string, tag = 1)]
    pub name: String,
    #[prost(string, tag = 2)]
    pub password: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AuthenticateResponse {
    #[prost(string, tag = 2)]
    pub token: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {
    #[prost(message, optional, tag = 1)]
    pub header: Option<ResponseHeader>,
    #[prost(string, tag = 2)]
    pub version: String,
    #[prost(int64, tag = 3)]
    pub db_size: i64,
    #[prost(uint64, tag = 4)]
    pub leader: u64,
}

/// A call of etcd's API: its path, its request and its response.
pub trait Call: Message {
    /// `/SERVICE/METHOD`.
    const PATH: &'static str;
    /// The message that the server responds with.
    type Response: Message + Default + Headed;
}

/// A response with a [`ResponseHeader`].
pub trait Headed {
    /// Returns the header, if the server sent one.
    fn header(&self) -> Option<&ResponseHeader>;
}

macro_rules! calls {
    ($($request:ty => $path:literal, $response:ty;)*) => {
        $(impl Call for $request {
            const PATH: &'static str = concat!("/etcdserverpb.", $path);
            type Response = $response;
        })*
    };
}

macro_rules! headed {
    ($($response:ty),*) => {
        $(impl Headed for $response {
            fn header(&self) -> Option<&ResponseHeader> {
                self.header.as_ref()
            }
        })*
    };
}

calls! {
    RangeRequest => "KV/Range", RangeResponse;
    TxnRequest => "KV/Txn", TxnResponse;
    LeaseGrantRequest => "Lease/LeaseGrant", LeaseGrantResponse;
    LeaseKeepAliveRequest => "Lease/LeaseKeepAlive", LeaseResponse;
    LeaseRevokeRequest => "Lease/LeaseRevoke", LeaseResponse;
    LeaseTimeToLiveRequest => "Lease/LeaseTimeToLive", LeaseResponse;
    WatchRequest => "Watch/Watch", WatchResponse;
    AuthenticateRequest => "Auth/Authenticate", AuthenticateResponse;
    StatusRequest => "Maintenance/Status", StatusResponse;
}
headed!(
    RangeResponse,
    TxnResponse,
    LeaseGrantResponse,
    LeaseResponse,
    WatchResponse,
    StatusResponse
);

// The login is checked before the cluster's identity is of interest.
impl Headed for AuthenticateResponse {
    fn header(&self) -> Option<&ResponseHeader> {
        None
    }
}
