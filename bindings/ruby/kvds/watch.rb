# frozen_string_literal: true

require_relative 'handle'

module Kvds
  # A change of a watched range.
  #
  # [kind] :set, also if the time to live of the key was changed; :delete, also of a key that has
  #        expired; or :delete_range. Disk stores report each key of a small range instead, and
  #        cluster stores of any.
  # [key] the key, or the first key of a deleted range.
  # [value] the value of a key that was set.
  # [finish] the end of a deleted range, exclusive; nil if it is the end of the watched range.
  # [sequence] the number of the write. Later writes have larger ones.
  # [last] whether this is the last change of its write: a batch has several.
  Change = Struct.new(:kind, :key, :value, :finish, :sequence, :last, keyword_init: true) do
    alias_method :last?, :last
  end

  # The writes to a range of keys since its creation, in their order. Enumerable over its changes,
  # as a loop that waits. One thread at a time may use it.
  #
  # It keeps no store alive. When the store is closed or its last reference is released, +next+
  # raises KVDS_CLOSED, also in a thread that waits there. So it does if another thread releases the
  # watch.
  class Watch < Handle
    include Enumerable

    # Waits for the next change, and returns it, or nil if there is none within +timeout+ seconds.
    # Without a timeout it waits without a limit. Other threads run in the meantime, and
    # Thread#raise and signals interrupt it.
    #
    # Raises KVDS_EXPIRED once if changes were missed: read the range again, and continue with the
    # watch.
    def next(timeout = nil)
      finish = timeout && now + timeout
      change = poll
      until change || (finish && now >= finish)
        wait([SLICE, finish && finish - now].compact.min)
        change = poll
      end
      change
    end

    # Yields each change, and waits for the next one. Returns an Enumerator without a block. The
    # block may be left by break.
    def each
      return enum_for(:each) unless block_given?

      yield self.next while true
    end

    # Returns the descriptor for event loops, as an IO that closes nothing: IO.select takes the
    # watch. It is readable while there may be a change. Then call <tt>next(0)</tt> until it returns
    # nil.
    def to_io
      using do |watch|
        @to_io ||= begin
          descriptor = Library.kvds_watch_fd(watch)
          check(Library::IO) if descriptor.negative?
          IO.for_fd(descriptor, autoclose: false)
        end
      end
    end

    # Returns the number of the descriptor.
    def fileno = to_io.fileno

    # How long a thread waits, in seconds, before it notices that another one released the watch.
    SLICE = 0.1

    KINDS = {
      Library::CHANGE_SET => :set,
      Library::CHANGE_DELETE => :delete,
      Library::CHANGE_DELETE_RANGE => :delete_range
    }.freeze
    private_constant :SLICE, :KINDS

    private

    def initialize(pointer) = super(pointer, Library.method(:kvds_watch_free))

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # Waits for the descriptor and not in the library: a call of C cannot be interrupted. The watch
    # is not released in the meantime, which would close the descriptor.
    def wait(seconds) = using { IO.select([self], nil, nil, [seconds, 0].max) }

    def poll
      out = Library::Change.malloc(Fiddle::RUBY_FREE)
      using do |watch|
        change(out) if yes?(check(Library.kvds_watch_next(watch, 0, out)))
      end
    end

    # Returns a copy: the bytes belong to the watch until the next call.
    def change(struct)
      kind = KINDS.fetch(struct.kind)
      other = copy_of(struct.value, struct.value_len)
      Change.new(
        kind: kind,
        key: copy_of(struct.key, struct.key_len),
        value: (other if kind == :set),
        finish: (other if kind == :delete_range && !other.empty?),
        sequence: struct.sequence,
        last: struct.last == 1
      )
    end
  end

  # Stores create watches.
  Watch.private_class_method :new
end
