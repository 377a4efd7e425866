//! What a failed call means: whether a write was applied, and what to do next.
//!
//! This is the table of docs/cluster.md. What it does not list is unknown.

use crate::error::Kind;

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The call never left, or the server promised that it did not look at it.
    NotSent(String),
    /// The call was sent, and there is no whole response to it.
    Lost(String),
    /// The server responded with a gRPC status.
    Status {
        /// The number of the status.
        code: i32,
        /// The text that the server sent.
        message: String,
    },
    /// What responded does not speak gRPC.
    NotGrpc(String),
}

/// What a [`Failure`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was changed: the call may be sent again, to another server.
    NotApplied,
    /// Nothing was changed: the login has ended.
    LoginEnded,
    /// Nothing was changed, and the lease of the fences is gone.
    LeaseGone,
    /// The database of the cluster is full. A write may have been applied nevertheless.
    NoSpace,
    /// The revision that was asked for is gone.
    Compacted,
    /// This server does not have the revision yet that was asked for.
    FutureRevision,
    /// Nothing was changed, and trying again does not help.
    Refused(Kind),
    /// A write may have been applied. Trying again does not help.
    Broken(Kind),
    /// A write may have been applied.
    Unknown,
}

const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
pub const PERMISSION_DENIED: i32 = 7;
/// A limit is reached. Also the status of requests that the client itself refuses.
pub const RESOURCE_EXHAUSTED: i32 = 8;
const OUT_OF_RANGE: i32 = 11;
pub const UNAVAILABLE: i32 = 14;
const DATA_LOSS: i32 = 15;
const UNAUTHENTICATED: i32 = 16;

impl Failure {
    /// Returns what the failure means. `has_login` tells whether the client has a user to log in.
    pub fn verdict(&self, has_login: bool) -> Verdict {
        let (code, message) = match self {
            Failure::NotSent(_) => return Verdict::NotApplied,
            Failure::Lost(_) => return Verdict::Unknown,
            Failure::NotGrpc(_) => return Verdict::Broken(Kind::Io),
            Failure::Status { code, message } => (*code, message.as_str()),
        };
        let has = |text: &str| message.contains(text);
        match code {
            UNAVAILABLE if has("no leader") || has("not capable") || has("for learner") => {
                Verdict::NotApplied
            }
            RESOURCE_EXHAUSTED if has("too many requests") => Verdict::NotApplied,
            RESOURCE_EXHAUSTED if has("database space exceeded") => Verdict::NoSpace,
            RESOURCE_EXHAUSTED if has("larger than max") => Verdict::Refused(Kind::Unsupported),
            UNAUTHENTICATED if has("invalid auth token") && has_login => Verdict::LoginEnded,
            UNAUTHENTICATED => Verdict::Refused(Kind::Denied),
            INVALID_ARGUMENT if has("revision of auth store is old") => Verdict::LoginEnded,
            INVALID_ARGUMENT if has("user name is empty") && has_login => Verdict::LoginEnded,
            INVALID_ARGUMENT if has("user name is empty") || has("authentication failed") => {
                Verdict::Refused(Kind::Denied)
            }
            INVALID_ARGUMENT if has("too large") || has("too many operations") => {
                Verdict::Refused(Kind::Unsupported)
            }
            INVALID_ARGUMENT => Verdict::Refused(Kind::Internal),
            PERMISSION_DENIED => Verdict::Refused(Kind::Denied),
            NOT_FOUND if has("requested lease not found") => Verdict::LeaseGone,
            OUT_OF_RANGE if has("compacted") => Verdict::Compacted,
            OUT_OF_RANGE if has("future revision") => Verdict::FutureRevision,
            DATA_LOSS => Verdict::Broken(Kind::Corruption),
            _ => Verdict::Unknown,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::NotSent(what) | Failure::Lost(what) | Failure::NotGrpc(what) => {
                out.write_str(what)
            }
            Failure::Status { code, message } => write!(out, "{message} (gRPC status {code})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let rows = [
            (14, "etcdserver: no leader", Verdict::NotApplied),
            (14, "etcdserver: not capable", Verdict::NotApplied),
            (14, "etcdserver: rpc not supported for learner", Verdict::NotApplied),
            (8, "etcdserver: too many requests", Verdict::NotApplied),
            (16, "etcdserver: invalid auth token", Verdict::LoginEnded),
            (3, "etcdserver: revision of auth store is old", Verdict::LoginEnded),
            (3, "etcdserver: user name is empty", Verdict::LoginEnded),
            (7, "etcdserver: permission denied", Verdict::Refused(Kind::Denied)),
            (
                3,
                "etcdserver: authentication failed, invalid user ID or password",
                Verdict::Refused(Kind::Denied),
            ),
            (3, "etcdserver: request is too large", Verdict::Refused(Kind::Unsupported)),
            (
                3,
                "etcdserver: too many operations in txn request",
                Verdict::Refused(Kind::Unsupported),
            ),
            (
                8,
                "grpc: received message larger than max (3 vs. 2)",
                Verdict::Refused(Kind::Unsupported),
            ),
            (3, "etcdserver: duplicate key given in txn request", Verdict::Refused(Kind::Internal)),
            (5, "etcdserver: requested lease not found", Verdict::LeaseGone),
            (8, "etcdserver: mvcc: database space exceeded", Verdict::NoSpace),
            (14, "etcdserver: request timed out", Verdict::Unknown),
            (14, "etcdserver: leader changed", Verdict::Unknown),
            (14, "etcdserver: server stopped", Verdict::Unknown),
            (1, "context canceled", Verdict::Unknown),
            (2, "unknown", Verdict::Unknown),
            (4, "context deadline exceeded", Verdict::Unknown),
            (13, "internal", Verdict::Unknown),
            (8, "something new", Verdict::Unknown),
            (99, "something new", Verdict::Unknown),
            (11, "etcdserver: mvcc: required revision has been compacted", Verdict::Compacted),
            (
                11,
                "etcdserver: mvcc: required revision is a future revision",
                Verdict::FutureRevision,
            ),
            (15, "etcdserver: corrupt cluster", Verdict::Broken(Kind::Corruption)),
        ];
        for (code, message, verdict) in rows {
            let failure = Failure::Status { code, message: message.to_owned() };
            assert_eq!(failure.verdict(true), verdict, "{failure}");
        }
        let no_user =
            Failure::Status { code: 3, message: "etcdserver: user name is empty".to_owned() };
        assert_eq!(no_user.verdict(false), Verdict::Refused(Kind::Denied));
        assert_eq!(Failure::NotSent(String::new()).verdict(true), Verdict::NotApplied);
        assert_eq!(Failure::Lost(String::new()).verdict(true), Verdict::Unknown);
        assert_eq!(Failure::NotGrpc(String::new()).verdict(true), Verdict::Broken(Kind::Io));
    }
}
