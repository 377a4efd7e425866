# frozen_string_literal: true

require_relative 'batch'
require_relative 'cursor'
require_relative 'watch'

module Kvds
  # One counted reference to a store, or to a view of one. Enumerable over its pairs. Any thread may
  # use it at any time.
  class Store < Handle
    include Enumerable

    class << self
      include Convert

      # Opens the disk store in exactly the directory +path+, without a distributor. The options are
      # those of a Distributor. Returns nil if there is no store and the options forbid creating it.
      # With a block, it yields the store, releases it, and returns the block's result.
      def open(path, **options, &block)
        pointer = with_options(options) do |made|
          opened { |out| check(Library.kvds_store_open(text(path), made, out)) }
        end
        lend(pointer, &block)
      end

      private

      # Returns the store that owns +pointer+, or yields and releases it; nil for nil.
      def lend(pointer)
        store = pointer && new(pointer)
        return store unless block_given? && store

        begin
          yield store
        ensure
          store.release
        end
      end
    end

    # Returns one more reference, as an object of its own.
    def retain = Store.send(:new, ask(:kvds_store_retain))

    # Returns the number of references.
    def ref_count = ask(:kvds_store_ref_count)

    # Returns the id that the store was asked for by.
    def id = using { |store| Library.kvds_store_id(store).to_s }.force_encoding('UTF-8')

    # Returns :memory or :disk.
    def backend = BACKENDS.key(ask(:kvds_store_backend))

    # Returns the number of the store, unique in its distributor.
    def tag = ask(:kvds_store_tag)

    # Returns whether the store can be used.
    def open? = ask(:kvds_is_open) == 1

    # Closes the store for every holder.
    def close = void(call(:kvds_close))

    # Returns the value of +key+, or nil.
    def get(key) = fetched { |out| call(:kvds_get, *bytes(key), out) }
    alias [] get

    # Returns whether +key+ exists.
    def key?(key) = yes?(call(:kvds_exists, *bytes(key)))

    # Returns the values of several keys, from one snapshot, with nil for keys that do not exist.
    def multi_get(keys)
      spans = list(keys).flat_map { |key| bytes(key) }
      count = spans.size / 2
      values = Fiddle::Pointer.malloc([count * Library::Value.size, 1].max, Fiddle::RUBY_FREE)
      statuses = Fiddle::Pointer.malloc([count * Fiddle::SIZEOF_INT, 1].max, Fiddle::RUBY_FREE)
      call(:kvds_multi_get, packed(spans), count, values, statuses)
      found = statuses[0, count * Fiddle::SIZEOF_INT].unpack('l*')
      found.each_with_index.map do |status, i|
        out = Library::Value.new(values + i * Library::Value.size)
        yes?(status) ? copied(out).tap { Library.kvds_value_release(out) } : nil
      end
    end

    # Yields every pair of a range in order, from one snapshot: <tt>store.each(prefix: 'a') { |key,
    # value| }</tt>. Returns an Enumerator without a block. The block may be left by break.
    def each(**range)
      return enum_for(:each, **range) unless block_given?

      cursor = self.cursor(**range)
      begin
        there = cursor.first
        while there
          yield cursor.key, cursor.value
          there = cursor.next
        end
      ensure
        cursor.release
      end
      self
    end

    # Yields every pair whose key begins with +prefix+, from a callback of the library, until the
    # block returns false. Returns whether the end was reached.
    #
    # An exception ends the iteration and is raised again. Break, return and throw cannot pass the
    # library: they end the iteration and become a LocalJumpError. So do Thread#kill and
    # Timeout.timeout, which throws unless it gets an error to raise: <tt>Timeout.timeout(1,
    # MyError)</tt>. A block of +each+ may be left in any way.
    def iterate(prefix = '')
      visit = ->(_, key, key_len, value, value_len) { yield key[0, key_len], value[0, value_len] }
      yes?(calling_back(VISIT, visit) { |c| call(:kvds_iterate, *bytes(prefix), c, nil) })
    end

    # Sets +key+ to +value+, with +ttl+ for that many seconds: the key is deleted at most a tenth of
    # that time and 2 seconds later. A set without +ttl+ ends the time.
    def set(key, value, ttl: nil) = void(call_set(:kvds_set, key, value, ttl))
    alias []= set

    # Deletes +key+. Returns whether it existed.
    def delete(key) = yes?(call(:kvds_del, *bytes(key)))

    # Sets +key+ if it does not exist. Returns whether it did so. With +ttl+ it is a lock that frees
    # itself; its owner renews it with a batch that expects its own value, and Batch#expire.
    def set_nx(key, value, ttl: nil) = yes?(call_set(:kvds_set_nx, key, value, ttl))

    # Replaces the time that +key+ has left, in seconds. With Float::INFINITY, the key never
    # expires. Returns whether the key exists.
    def expire(key, ttl) = yes?(call(:kvds_expire, *bytes(key), remaining(ttl)))

    # Returns the seconds that +key+ has left, Float::INFINITY if it never expires, or nil if it
    # does not exist.
    def ttl(key) = seconds_left { |out| call(:kvds_ttl, *bytes(key), out) }

    # Sets +key+ to +value+ if its value is +expected+. Returns true if it did so, false if the key
    # has another value, and nil if it does not exist.
    def compare_and_swap(key, expected, value)
      compared(call(:kvds_compare_and_swap, *bytes(key, expected, value)))
    end

    # Deletes +key+ if its value is +expected+. Returns the same as +compare_and_swap+.
    def compare_and_delete(key, expected)
      compared(call(:kvds_compare_and_delete, *bytes(key, expected)))
    end

    # Adds +delta+ to the decimal number stored under +key+, and returns the sum.
    def add(key, delta = 1)
      unless delta.is_a?(Integer) && delta.bit_length < 64
        message = "the delta must be an integer of 64 bits, not #{delta.inspect}"
        raise Error.new(Library::INVALID_ARGUMENT, message)
      end

      sum = Fiddle::Pointer.malloc(Fiddle::SIZEOF_LONG_LONG, Fiddle::RUBY_FREE)
      call(:kvds_add, *bytes(key), delta, sum)
      int64(sum)
    end

    # Sets all pairs of a Hash, or of a list of pairs, or none.
    def set_batch(pairs)
      spans = list(pairs).flat_map { |key, value| bytes(key, value) }
      void(call(:kvds_set_batch, packed(spans), spans.size / 4))
    end

    # Deletes all keys, or none. Keys that do not exist are skipped.
    def delete_batch(keys)
      spans = list(keys).flat_map { |key| bytes(key) }
      void(call(:kvds_delete_batch, packed(spans), spans.size / 2))
    end

    # Deletes every key that begins with +prefix+, in one atomic step.
    def delete_prefix(prefix) = void(call(:kvds_delete_prefix, *bytes(prefix)))

    # Applies a batch in one atomic step. Returns false, and changes nothing, if an expectation does
    # not hold.
    def write(batch)
      raise TypeError, "write takes a Kvds::Batch, not #{batch.class}" unless batch.is_a?(Batch)

      yes?(batch.send(:using) { |pointer| call(:kvds_write, pointer) })
    end

    # Returns a cursor over a range of keys. A bound that is left out is none.
    def cursor(prefix: '', start: '', finish: '')
      with_range(prefix, start, finish) do |range|
        Cursor.send(:new, opened { |out| call(:kvds_cursor_new, range, out) })
      end
    end

    # Returns a Watch of a range of keys, from now on. A bound that is left out is none. With a
    # block, it yields each change, and waits for the next one, until the block is left: <tt>
    # store.watch(prefix: 'a') { |change| }</tt>
    #
    # With +after+, the number of a change that was the last of its write, the watch continues after
    # that write. It raises KVDS_EXPIRED if the store no longer has that history: a memory or disk
    # store keeps it only while it has a watch. Create the new watch before the old one is released.
    def watch(prefix: '', start: '', finish: '', after: nil, &block)
      watch = with_range(prefix, start, finish) do |range|
        Watch.send(:new, opened do |out|
          next call(:kvds_watch_new, range, out) if after.nil?

          call(:kvds_watch_from, range, after, out)
        end)
      end
      return watch unless block

      begin
        watch.each(&block)
      ensure
        watch.release
      end
    end

    # Returns a view that permits reading, writing or both.
    def view(read: false, write: false)
      rights = (read ? Library::VIEW_READ : 0) | (write ? Library::VIEW_WRITE : 0)
      viewed { |out| call(:kvds_store_view, rights, out) }
    end

    # Returns a view of the keys that begin with +prefix+. Its keys are without the prefix.
    def scope(prefix) = viewed { |out| call(:kvds_store_scope, *bytes(prefix), out) }

    # Returns a read-only view of the store that no later write changes.
    def snapshot = viewed { |out| call(:kvds_store_snapshot, out) }

    # Makes every acknowledged write survive a power failure.
    def sync = void(call(:kvds_sync))

    # Reclaims the disk space of overwritten and deleted entries.
    def compact = void(call(:kvds_compact))

    # Shows what another process has written to a store that was opened with the option read_only.
    def refresh = void(call(:kvds_refresh))

    # Returns a property, such as "kvds.keys", as text, or nil.
    def property(name) = fetched { |out| call(:kvds_store_property, text(name), out) }

    # The parameters of kvds_visit.
    VISIT = [
      Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T,
      Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T
    ].freeze
    private_constant :VISIT

    private

    def initialize(pointer) = super(pointer, Library.method(:kvds_store_release))

    def void(_status) = nil

    def compared(status) = status == Library::NOT_FOUND ? nil : yes?(status)

    def viewed(&open) = Store.send(:new, opened(&open))
  end

  # Distributors and other stores create stores.
  Store.private_class_method :new
end
