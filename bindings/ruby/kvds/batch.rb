# frozen_string_literal: true

require_relative 'handle'

module Kvds
  # Operations, and expectations about the data before them, that Store#write applies in one atomic
  # step. Each method returns the batch. One thread at a time may use it.
  class Batch < Handle
    def initialize = super(Library.kvds_batch_new, Library.method(:kvds_batch_free))

    # Adds an operation that sets +key+ to +value+, with +ttl+ for that many seconds from each write
    # on.
    def set(key, value, ttl: nil) = added(call_set(:kvds_batch_set, key, value, ttl))

    # Adds an operation that deletes +key+.
    def delete(key) = added(call(:kvds_batch_del, *bytes(key)))

    # Adds an operation that replaces the time that +key+ has left, in seconds from each write on.
    # It does nothing to a key that does not exist. With Float::INFINITY, the key never expires.
    def expire(key, ttl) = added(call(:kvds_batch_expire, *bytes(key), remaining(ttl)))

    # Adds the expectation that the value of +key+ is +value+ before the batch.
    def expect(key, value) = added(call(:kvds_batch_expect, *bytes(key, value)))

    # Adds the expectation that +key+ does not exist before the batch.
    def expect_absent(key) = added(call(:kvds_batch_expect_absent, *bytes(key)))

    private

    def added(_status) = self
  end
end
