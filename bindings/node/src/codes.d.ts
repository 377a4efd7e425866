// Generated from abi/api.json by `cargo xtask declarations`. Do not edit.

/** The name of the status of an error. */
export type Code =
    | 'KVDS_NOT_FOUND'
    | 'KVDS_EXISTS'
    | 'KVDS_MISMATCH'
    | 'KVDS_STOPPED'
    | 'KVDS_TRUNCATED'
    | 'KVDS_INVALID_ARGUMENT'
    | 'KVDS_CLOSED'
    | 'KVDS_DENIED'
    | 'KVDS_LOCKED'
    | 'KVDS_IO'
    | 'KVDS_NO_SPACE'
    | 'KVDS_CORRUPTION'
    | 'KVDS_NO_MEMORY'
    | 'KVDS_UNSUPPORTED'
    | 'KVDS_BUSY'
    | 'KVDS_UNKNOWN_OUTCOME'
    | 'KVDS_FORKED'
    | 'KVDS_INTERNAL'
    | 'KVDS_EXPIRED';
