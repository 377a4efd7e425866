# frozen_string_literal: true

require_relative 'handle'

module Kvds
  # A position in a range of keys, in a snapshot of the time of its creation. Moves return whether
  # the cursor is then on an entry. One thread at a time may use it.
  class Cursor < Handle
    # Moves to the first entry.
    def first = yes?(call(:kvds_cursor_first))

    # Moves to the last entry.
    def last = yes?(call(:kvds_cursor_last))

    # Moves to the first entry whose key is +key+ or greater.
    def seek(key) = yes?(call(:kvds_cursor_seek, *bytes(key)))

    # Moves to the next entry.
    def next = yes?(call(:kvds_cursor_next))

    # Moves to the previous entry.
    def prev = yes?(call(:kvds_cursor_prev))

    # Returns the key of the current entry, or nil.
    def key = shown { |cursor, out| Library.kvds_cursor_key(cursor, out) }

    # Returns the value of the current entry, or nil.
    def value = shown { |cursor, out| Library.kvds_cursor_value(cursor, out) }

    # Returns the seconds that the current entry has left, Float::INFINITY if it never expires, or
    # nil if there is none.
    def ttl = seconds_left { |out| call(:kvds_cursor_ttl, out) }

    private

    def initialize(pointer) = super(pointer, Library.method(:kvds_cursor_free))

    def shown
      out = Library::Bytes.malloc(Fiddle::RUBY_FREE)
      using { |cursor| copied(out) if yes?(check(yield(cursor, out))) }
    end
  end

  # Stores create cursors.
  Cursor.private_class_method :new
end
