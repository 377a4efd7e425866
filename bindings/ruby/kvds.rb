# frozen_string_literal: true

require 'fiddle/import'

# kvds for Ruby: ordered key-value stores in memory and on disk.
#
# Keys, values and prefixes are strings of any bytes; what comes out is binary (ASCII-8BIT). A plain "no" is an answer (nil
# or false), a failure a Kvds::Error. What owns something of the library is given up by release, at the end of the block it
# was asked for with, or by the garbage collector, which may be late. After a release its methods raise an error.
module Kvds
  # The functions of include/kvds.h that are used here.
  module Library
    extend Fiddle::Importer
    named = ENV.fetch('KVDS_LIBRARY', '')
    dlload named.empty? ? 'libkvds.so.0' : named
    typealias 'kvds_status', 'int'
    typealias 'kvds_backend', 'int'
    typealias 'int64_t', 'long long'
    typealias 'uint64_t', 'unsigned long long'

    Value = struct ['void *data', 'size_t len', 'void *owner']
    Bytes = struct ['void *data', 'size_t len']
    Range = struct [
      'void *prefix', 'size_t prefix_len', 'void *start', 'size_t start_len', 'void *finish', 'size_t finish_len'
    ]

    extern 'const char *kvds_version()'
    extern 'const char *kvds_status_name(kvds_status)'
    extern 'const char *kvds_last_error()'
    extern 'void kvds_value_release(void *value)'

    extern 'void *kvds_options_new()'
    extern 'void kvds_options_free(void *options)'
    extern 'kvds_status kvds_options_set(void *options, const char *name, const char *value)'

    extern 'kvds_status kvds_distributor_open(const char *path, void *options, void *out)'
    extern 'int64_t kvds_distributor_release(void *distributor)'
    extern 'kvds_status kvds_distributor_get_or_create(void *distributor, const char *id, kvds_backend backend, void *out)'
    extern 'kvds_status kvds_distributor_get(void *distributor, const char *id, kvds_backend backend, void *out)'
    extern 'kvds_status kvds_distributor_shutdown(void *distributor)'
    extern 'size_t kvds_distributor_store_count(void *distributor)'

    extern 'kvds_status kvds_store_open(const char *path, void *options, void *out)'
    extern 'void *kvds_store_retain(void *store)'
    extern 'int64_t kvds_store_release(void *store)'
    extern 'int64_t kvds_store_ref_count(void *store)'
    extern 'uint64_t kvds_store_tag(void *store)'
    extern 'const char *kvds_store_id(void *store)'
    extern 'kvds_backend kvds_store_backend(void *store)'
    extern 'int kvds_is_open(void *store)'
    extern 'kvds_status kvds_close(void *store)'

    extern 'kvds_status kvds_get(void *store, void *key, size_t key_len, void *out)'
    extern 'kvds_status kvds_exists(void *store, void *key, size_t key_len)'
    extern 'kvds_status kvds_multi_get(void *store, void *keys, size_t count, void *values, void *statuses)'
    extern 'kvds_status kvds_iterate(void *store, void *prefix, size_t prefix_len, void *visit, void *user_data)'
    extern 'kvds_status kvds_set(void *store, void *key, size_t key_len, void *value, size_t value_len)'
    extern 'kvds_status kvds_del(void *store, void *key, size_t key_len)'
    extern 'kvds_status kvds_set_batch(void *store, void *pairs, size_t count)'
    extern 'kvds_status kvds_delete_batch(void *store, void *keys, size_t count)'
    extern 'kvds_status kvds_set_nx(void *store, void *key, size_t key_len, void *value, size_t value_len)'
    extern 'kvds_status kvds_compare_and_swap(void *store, void *key, size_t key_len, ' \
           'void *expected, size_t expected_len, void *value, size_t value_len)'
    extern 'kvds_status kvds_compare_and_delete(void *store, void *key, size_t key_len, void *expected, size_t expected_len)'
    extern 'kvds_status kvds_add(void *store, void *key, size_t key_len, int64_t delta, void *result)'
    extern 'kvds_status kvds_delete_prefix(void *store, void *prefix, size_t prefix_len)'

    extern 'void *kvds_batch_new()'
    extern 'void kvds_batch_free(void *batch)'
    extern 'kvds_status kvds_batch_set(void *batch, void *key, size_t key_len, void *value, size_t value_len)'
    extern 'kvds_status kvds_batch_del(void *batch, void *key, size_t key_len)'
    extern 'kvds_status kvds_batch_expect(void *batch, void *key, size_t key_len, void *value, size_t value_len)'
    extern 'kvds_status kvds_batch_expect_absent(void *batch, void *key, size_t key_len)'
    extern 'kvds_status kvds_write(void *store, void *batch)'

    extern 'kvds_status kvds_cursor_new(void *store, void *range, void *out)'
    extern 'void kvds_cursor_free(void *cursor)'
    extern 'kvds_status kvds_cursor_first(void *cursor)'
    extern 'kvds_status kvds_cursor_last(void *cursor)'
    extern 'kvds_status kvds_cursor_seek(void *cursor, void *key, size_t key_len)'
    extern 'kvds_status kvds_cursor_next(void *cursor)'
    extern 'kvds_status kvds_cursor_prev(void *cursor)'
    extern 'kvds_status kvds_cursor_key(void *cursor, void *key)'
    extern 'kvds_status kvds_cursor_value(void *cursor, void *value)'

    extern 'kvds_status kvds_store_view(void *store, int rights, void *out)'
    extern 'kvds_status kvds_store_scope(void *store, void *prefix, size_t prefix_len, void *out)'
    extern 'kvds_status kvds_store_snapshot(void *store, void *out)'
    extern 'kvds_status kvds_sync(void *store)'
    extern 'kvds_status kvds_compact(void *store)'
    extern 'kvds_status kvds_refresh(void *store)'
    extern 'kvds_status kvds_store_property(void *store, const char *name, void *out)'
  end

  OK = 0
  NOT_FOUND = 1
  INVALID_ARGUMENT = -1
  CLOSED = -2
  BACKENDS = %i[memory disk].freeze
  private_constant :Library, :OK, :NOT_FOUND, :INVALID_ARGUMENT, :CLOSED, :BACKENDS

  # A failure: the library's text, its status, and the name of that, such as "KVDS_LOCKED".
  class Error < StandardError
    attr_reader :status, :code

    def initialize(status, message)
      super(message)
      @status = status
      @code = Library.kvds_status_name(status).to_s
    end
  end

  # The version of the library that is running.
  def self.version = Library.kvds_version.to_s

  # What goes into the library and comes out of it.
  module Convert
    private

    # Passes on OK and the plain "no"s, and raises failures.
    def check(status)
      raise Error.new(status, Library.kvds_last_error.to_s.force_encoding('UTF-8')) if status.negative?

      status
    end

    def yes?(status) = status == OK

    # The arguments for bytes. A copy: another thread may change the string while the library reads it.
    def bytes(*given)
      given.flat_map do |each|
        copy = String.try_convert(each) or raise TypeError, "keys and values are strings, not #{each.class}"
        [copy.b, copy.bytesize]
      end
    end

    # Text, which C reads up to its first NUL.
    def text(given)
      copy = String.try_convert(given) or raise TypeError, "names are strings, not #{given.class}"
      raise Error.new(INVALID_ARGUMENT, "the name has a NUL in it: #{copy.inspect}") if copy.include?("\0")

      copy.encode('UTF-8')
    end

    # An id: text, or any bytes in a binary string, which memory stores take.
    def id_text(given)
      copy = String.try_convert(given)
      return text(given) unless copy && copy.encoding == Encoding::BINARY
      raise Error.new(INVALID_ARGUMENT, "the id has a NUL in it: #{copy.inspect}") if copy.include?("\0")

      copy
    end

    # Yields options of the library.
    def with_options(options)
      made = Library.kvds_options_new
      options.each { |name, value| check(Library.kvds_options_set(made, text(name.to_s), text(value.to_s))) }
      yield made
    ensure
      Library.kvds_options_free(made) if made
    end

    # The elements of a list. A String is none, though it has a size too.
    def list(given)
      raise TypeError, "a list is an Array or another Enumerable, not #{given.class}" unless given.is_a?(Enumerable)

      given.to_a
    end

    # An array of structs of pointers and lengths. The strings must be kept as long as it is used.
    def packed(spans) = spans.map { |each| each.is_a?(String) ? Fiddle::Pointer[each].to_i : each }.pack('J*')

    # The pointer that a call gives through its last parameter; nil if there is none.
    def opened
      out = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
      out.ptr if yes?(yield(out))
    end

    # The bytes of a struct, copied.
    def copied(struct) = struct.data.to_i.zero? ? ''.b : struct.data[0, struct.len]

    # The value that a call gives, copied and given back; nil if there is none.
    def fetched
      out = Library::Value.malloc(Fiddle::RUBY_FREE)
      return unless yes?(yield(out))

      begin
        copied(out)
      ensure
        Library.kvds_value_release(out)
      end
    end
  end
  private_constant :Convert

  # What stores, cursors, batches and distributors have in common: they own a pointer, and give it up once.
  class Handle
    include Convert

    # Gives it up; the second time does nothing. Returns how many references are left, or 0 if calls are running, which may be
    # in other threads: it takes effect when the last of them is done.
    def release
      idle = @guard.synchronize do
        return 0 if @released

        @released = true
        @users.zero?
      end
      idle ? free : 0
    end

    # A copy would be a second owner of what is given up once. It has the finalizer already.
    def initialize_copy(_)
      ObjectSpace.undefine_finalizer(self)
      raise TypeError, "a #{self.class} is not copied; a store has retain"
    end

    private

    def initialize(pointer, free)
      @pointer = pointer
      @free = free
      @guard = Mutex.new
      @users = 0
      @released = false
      ObjectSpace.define_finalizer(self, self.class.send(:finalizer, pointer, free))
    end

    # Yields the pointer, which is not freed meanwhile.
    def using
      @guard.synchronize do
        raise Error.new(CLOSED, "this #{self.class} was released") if @released

        @users += 1
      end
      begin
        yield @pointer
      ensure
        last = @guard.synchronize { (@users -= 1).zero? && @released }
        free if last
      end
    end

    # Makes a call on the pointer that answers a status.
    def call(function, *arguments) = using { |pointer| check(Library.public_send(function, pointer, *arguments)) }

    # Makes a call on the pointer that cannot fail.
    def ask(function, *arguments) = using { |pointer| Library.public_send(function, pointer, *arguments) }

    def free
      ObjectSpace.undefine_finalizer(self)
      @free.call(@pointer) || 0
    end

    class << self
      private

      # Not a block of the instance: that would keep the instance alive.
      def finalizer(pointer, free) = proc { free.call(pointer) }
    end
  end
  private_constant :Handle

  # Operations, and expectations of what is there before them, that Store#write applies in one step. Each method returns the
  # batch. One thread at a time.
  class Batch < Handle
    def initialize = super(Library.kvds_batch_new, Library.method(:kvds_batch_free))

    # Adds the operation to set +key+.
    def set(key, value) = added(call(:kvds_batch_set, *bytes(key, value)))

    # Adds the operation to remove +key+.
    def delete(key) = added(call(:kvds_batch_del, *bytes(key)))

    # Adds the expectation that +key+ has this value before the batch.
    def expect(key, value) = added(call(:kvds_batch_expect, *bytes(key, value)))

    # Adds the expectation that +key+ is not there before the batch.
    def expect_absent(key) = added(call(:kvds_batch_expect_absent, *bytes(key)))

    private

    def added(_status) = self
  end

  # A position in a range of keys, over the moment it was made. Moves answer whether it then stands on a key. One thread at
  # a time.
  class Cursor < Handle
    # To the first key.
    def first = yes?(call(:kvds_cursor_first))

    # To the last key.
    def last = yes?(call(:kvds_cursor_last))

    # To the first key that is +key+ or greater.
    def seek(key) = yes?(call(:kvds_cursor_seek, *bytes(key)))

    # One key on.
    def next = yes?(call(:kvds_cursor_next))

    # One key back.
    def prev = yes?(call(:kvds_cursor_prev))

    # The key that it stands on, or nil.
    def key = shown { |cursor, out| Library.kvds_cursor_key(cursor, out) }

    # The value of that key, or nil.
    def value = shown { |cursor, out| Library.kvds_cursor_value(cursor, out) }

    private

    def initialize(pointer) = super(pointer, Library.method(:kvds_cursor_free))

    def shown
      out = Library::Bytes.malloc(Fiddle::RUBY_FREE)
      using { |cursor| copied(out) if yes?(check(yield(cursor, out))) }
    end
  end

  # A store, or a view of one: one counted reference. Enumerable over its pairs. Any threads at once.
  class Store < Handle
    include Enumerable

    class << self
      include Convert

      # The disk store in exactly the directory +path+, without a distributor, created if it is missing; nil if the options
      # say not to. The options are those of a Distributor. With a block, it is yielded and then released.
      def open(path, **options)
        pointer = with_options(options) { |made| opened { |out| check(Library.kvds_store_open(text(path), made, out)) } }
        store = pointer && new(pointer)
        return store unless block_given? && store

        begin
          yield store
        ensure
          store.release
        end
      end
    end

    # One more reference, an object of its own.
    def retain = Store.send(:new, ask(:kvds_store_retain))

    # How many references there are.
    def ref_count = ask(:kvds_store_ref_count)

    # The name that the store was asked for by.
    def id = using { |store| Library.kvds_store_id(store).to_s }.force_encoding('UTF-8')

    # :memory or :disk.
    def backend = BACKENDS[ask(:kvds_store_backend)]

    # The number of the store, unique in its distributor.
    def tag = ask(:kvds_store_tag)

    # Whether the store can be used.
    def open? = ask(:kvds_is_open) == 1

    # Closes the store for every holder.
    def close = void(call(:kvds_close))

    # The value of +key+, or nil.
    def get(key) = fetched { |out| call(:kvds_get, *bytes(key), out) }
    alias [] get

    # Whether +key+ is there.
    def key?(key) = yes?(call(:kvds_exists, *bytes(key)))

    # The values of several keys, as of one moment: an array with nil for what is not there.
    def multi_get(keys)
      spans = list(keys).flat_map { |key| bytes(key) }
      count = spans.size / 2
      values = Fiddle::Pointer.malloc([count * Library::Value.size, 1].max, Fiddle::RUBY_FREE)
      statuses = Fiddle::Pointer.malloc([count * Fiddle::SIZEOF_INT, 1].max, Fiddle::RUBY_FREE)
      call(:kvds_multi_get, packed(spans), count, values, statuses)
      found = statuses[0, count * Fiddle::SIZEOF_INT].unpack('l*')
      found.each_with_index.map do |status, i|
        out = Library::Value.new(values + i * Library::Value.size)
        status == OK ? copied(out).tap { Library.kvds_value_release(out) } : nil
      end
    end

    # Yields every pair of a range in order, as of one moment: <tt>store.each(prefix: 'a') { |key, value| }</tt>. Without a
    # block it is an Enumerator. The block may be left by break.
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

    # Yields every pair whose key begins with +prefix+, as +each+ does, from a callback of the library, until the block
    # returns false. Answers whether the end was reached. An exception ends it and goes on its way. Break, return and throw
    # cannot pass the library; they end it too, and become a LocalJumpError. So does Thread#kill, and so does Timeout.timeout,
    # which throws unless it is given an error to raise: <tt>Timeout.timeout(1, MyError)</tt>. +each+ may be left in any way.
    def iterate(prefix = '')
      problem = nil
      visit = lambda do |_, key, key_len, value, value_len|
        ended = false
        go_on = yield key[0, key_len], value[0, value_len]
        ended = true
        return go_on == false ? 0 : 1
      rescue Exception => e
        problem = e
      ensure
        unless ended
          problem ||= LocalJumpError.new('the block of iterate ends it by false or an exception; see each')
          return 0
        end
      end
      closure = Fiddle::Closure::BlockCaller.new(
        Fiddle::TYPE_INT,
        [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T], &visit
      )
      status = call(:kvds_iterate, *bytes(prefix), closure, nil)
      raise problem if problem

      yes?(status)
    end

    # Sets +key+.
    def set(key, value) = void(call(:kvds_set, *bytes(key, value)))
    alias []= set

    # Removes +key+; answers whether it was there.
    def delete(key) = yes?(call(:kvds_del, *bytes(key)))

    # Sets +key+ if it is not there; answers whether it did.
    def set_nx(key, value) = yes?(call(:kvds_set_nx, *bytes(key, value)))

    # Sets +key+ if its value is +expected+: true; false if it has another one, nil if it is not there.
    def compare_and_swap(key, expected, value)
      compared(call(:kvds_compare_and_swap, *bytes(key, expected, value)))
    end

    # Removes +key+ if its value is +expected+; answers as +compare_and_swap+ does.
    def compare_and_delete(key, expected) = compared(call(:kvds_compare_and_delete, *bytes(key, expected)))

    # Adds to the decimal number that +key+ has as its value, and returns the sum.
    def add(key, delta = 1)
      unless delta.is_a?(Integer) && delta.bit_length < 64
        raise Error.new(INVALID_ARGUMENT, "the delta must be an integer of 64 bits, not #{delta.inspect}")
      end

      sum = Fiddle::Pointer.malloc(Fiddle::SIZEOF_LONG_LONG, Fiddle::RUBY_FREE)
      call(:kvds_add, *bytes(key), delta, sum)
      sum[0, Fiddle::SIZEOF_LONG_LONG].unpack1('q')
    end

    # Sets all pairs of a Hash, or of an array of such, or none.
    def set_batch(pairs)
      spans = list(pairs).flat_map { |key, value| bytes(key, value) }
      void(call(:kvds_set_batch, packed(spans), spans.size / 4))
    end

    # Removes all keys, or none. Absent ones are fine.
    def delete_batch(keys)
      spans = list(keys).flat_map { |key| bytes(key) }
      void(call(:kvds_delete_batch, packed(spans), spans.size / 2))
    end

    # Removes every key that begins with +prefix+, in one step.
    def delete_prefix(prefix) = void(call(:kvds_delete_prefix, *bytes(prefix)))

    # Applies a batch in one step; false, and nothing is changed, if something is not as it expects.
    def write(batch)
      raise TypeError, "write takes a Kvds::Batch, not #{batch.class}" unless batch.is_a?(Batch)

      yes?(batch.send(:using) { |pointer| call(:kvds_write, pointer) })
    end

    # A cursor over a range of keys; what is left out is no bound.
    def cursor(prefix: '', start: '', finish: '')
      range = Library::Range.malloc(Fiddle::RUBY_FREE)
      spans = bytes(prefix, start, finish)
      range.prefix, range.prefix_len, range.start, range.start_len, range.finish, range.finish_len = spans
      Cursor.send(:new, opened { |out| call(:kvds_cursor_new, range, out) })
    end

    # A view that allows reading, writing or both.
    def view(read: false, write: false)
      rights = (read ? 1 : 0) | (write ? 2 : 0)
      viewed { |out| call(:kvds_store_view, rights, out) }
    end

    # A view of the keys that begin with +prefix+, which they don't have in it.
    def scope(prefix) = viewed { |out| call(:kvds_store_scope, *bytes(prefix), out) }

    # A view of the store as it is now.
    def snapshot = viewed { |out| call(:kvds_store_snapshot, out) }

    # Makes all that was written survive a power cut.
    def sync = void(call(:kvds_sync))

    # Gives back disk space that is free.
    def compact = void(call(:kvds_compact))

    # Has a store that was opened with the option read_only show what was written since.
    def refresh = void(call(:kvds_refresh))

    # What is known under a name such as "kvds.keys", or nil.
    def property(name) = fetched { |out| call(:kvds_store_property, text(name), out) }

    private

    def initialize(pointer) = super(pointer, Library.method(:kvds_store_release))

    def void(_status) = nil

    def compared(status) = status == NOT_FOUND ? nil : status == OK

    def viewed(&open) = Store.send(:new, opened(&open))
  end

  # Hands out stores by name. Any threads at once.
  class Distributor < Handle
    # With disk stores under the directory +path+ (nil for memory stores only). The options are those of kvds_options_set,
    # such as <tt>durability: :sync</tt>.
    def initialize(path = nil, **options)
      base = path && text(path)
      distributor = with_options(options) do |made|
        opened { |out| check(Library.kvds_distributor_open(base, made, out)) }
      end
      super(distributor, Library.method(:kvds_distributor_release))
    end

    # The live store called +id+ on :memory or :disk, made if there is none; nil if the options say not to make it. With a
    # block, it is yielded and then released, and the answer is the block's.
    def get_or_create(id, backend, &block)
      lent(opened { |out| call(:kvds_distributor_get_or_create, id_text(id), number(backend), out) }, &block)
    end

    # The live store called +id+, or nil. With a block as +get_or_create+.
    def get(id, backend, &block)
      lent(opened { |out| call(:kvds_distributor_get, id_text(id), number(backend), out) }, &block)
    end

    # Closes every live store and hands out none any more.
    def shutdown
      call(:kvds_distributor_shutdown)
      nil
    end

    # How many stores live.
    def store_count = ask(:kvds_distributor_store_count)

    private

    def number(backend)
      BACKENDS.index(backend) or raise Error.new(INVALID_ARGUMENT, "the backend must be :memory or :disk, not #{backend.inspect}")
    end

    def lent(opened)
      store = opened && Store.send(:new, opened)
      return store unless block_given? && store

      begin
        yield store
      ensure
        store.release
      end
    end
  end

  # Objects that come from others are not made with new.
  Store.private_class_method :new
  Cursor.private_class_method :new
end
