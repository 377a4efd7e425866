# frozen_string_literal: true

require_relative 'library'

module Kvds
  # A call failed. The message is the library's error text.
  class Error < StandardError
    # The status, such as -4.
    attr_reader :status
    # The name of the status, such as "KVDS_LOCKED".
    attr_reader :code

    def initialize(status, message)
      super(message)
      @status = status
      @code = Library.kvds_status_name(status).to_s
    end
  end

  # Conversions between Ruby's objects and the arguments and results of C functions.
  module Convert
    private

    # Raises errors. Returns success and expected negative results.
    def check(status)
      return status unless status.negative?

      raise Error.new(status, Library.kvds_last_error.to_s.force_encoding('UTF-8'))
    end

    def yes?(status) = status == Library::OK

    # Returns the arguments for bytes. They are copied, because another thread may change the string
    # while the library reads it.
    def bytes(*given)
      given.flat_map do |each|
        copy = String.try_convert(each)
        raise TypeError, "keys and values are strings, not #{each.class}" unless copy

        [copy.b, copy.bytesize]
      end
    end

    # Returns text that C can read: a NUL would end it.
    def text(given)
      copy = String.try_convert(given) or raise TypeError, "names are strings, not #{given.class}"
      return copy.encode('UTF-8') unless copy.include?("\0")

      raise Error.new(Library::INVALID_ARGUMENT, "the name contains a NUL: #{copy.inspect}")
    end

    # Returns an id: text, or any bytes in a binary string, which memory stores take.
    def id_text(given)
      copy = String.try_convert(given)
      return text(given) unless copy && copy.encoding == Encoding::BINARY
      return copy unless copy.include?("\0")

      raise Error.new(Library::INVALID_ARGUMENT, "the id contains a NUL: #{copy.inspect}")
    end

    # Yields options of the library.
    def with_options(options)
      made = Library.kvds_options_new
      options.each do |name, value|
        check(Library.kvds_options_set(made, text(name.to_s), text(value.to_s)))
      end
      yield made
    ensure
      Library.kvds_options_free(made) if made
    end

    # Returns the elements of a list. A String has a size, but is no list.
    def list(given)
      return given.to_a if given.is_a?(Enumerable)

      raise TypeError, "a list is an Array or another Enumerable, not #{given.class}"
    end

    # Returns a time to live for the library. Rounds up and refuses 0, because the library takes 0
    # for no limit.
    def milliseconds(seconds)
      fine = seconds.is_a?(Numeric) && seconds.positive? && seconds <= Library::MAX_TTL_MS / 1000
      return (seconds * 1000).ceil if fine

      message = "a time to live is more than 0 seconds, at most 100 years, not #{seconds.inspect}"
      raise Error.new(Library::INVALID_ARGUMENT, message)
    end

    # Returns the time that a key has left for the library, which takes 0 for no limit.
    def remaining(seconds) = seconds == Float::INFINITY ? 0 : milliseconds(seconds)

    # Yields a pointer for the milliseconds that a call stores. Returns them as seconds,
    # Float::INFINITY for a key that never expires, or nil if there is no key.
    def seconds_left
      out = Fiddle::Pointer.malloc(Fiddle::SIZEOF_LONG_LONG, Fiddle::RUBY_FREE)
      return unless yes?(yield(out))

      milliseconds = int64(out)
      milliseconds.negative? ? Float::INFINITY : milliseconds / 1000.0
    end

    def int64(pointer) = pointer[0, Fiddle::SIZEOF_LONG_LONG].unpack1('q')

    # Yields a range of the library.
    def with_range(prefix, start, finish)
      range = Library::Range.malloc(Fiddle::RUBY_FREE)
      spans = bytes(prefix, start, finish)
      Library::Range.members.zip(spans) { |member, given| range[member] = given }
      yield range
    end

    # Returns an array of structs of pointers and lengths. The strings must outlive it.
    def packed(spans)
      spans.map { |each| each.is_a?(String) ? Fiddle::Pointer[each].to_i : each }.pack('J*')
    end

    # Returns the pointer that a call stores through its last parameter, or nil.
    def opened
      out = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
      out.ptr if yes?(yield(out))
    end

    # Yields a C function with these parameters that calls +visit+, and returns 0 if it returns
    # false, else 1. Returns the block's result. What leaves +visit+ must not pass the library: the
    # C function returns 0, and the exception is raised after the block.
    def calling_back(parameters, visit)
      problem = nil
      relay = lambda do |*arguments|
        ended = false
        go_on = visit.call(*arguments)
        ended = true
        return go_on == false ? 0 : 1
      rescue Exception => e
        problem = e
      ensure
        unless ended
          problem ||= LocalJumpError.new('a block in a call ends by false or an exception')
          return 0
        end
      end
      result = yield Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_INT, parameters, &relay)
      raise problem if problem

      result
    end

    def copy_of(data, len) = data.to_i.zero? ? ''.b : data[0, len]

    # Returns a copy of the bytes that a struct points to.
    def copied(struct) = copy_of(struct.data, struct.len)

    # Returns a copy of the value that a call stores through its last parameter, or nil.
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

  # The base of stores, cursors, watches, batches and distributors: each owns a pointer and releases
  # it exactly once.
  class Handle
    include Convert

    # Releases the pointer; the second time it does nothing. Returns the number of references left.
    # If calls are running, in other threads too, it returns 0 and the last of them releases the
    # pointer.
    def release
      idle = @guard.synchronize do
        return 0 if @released

        @released = true
        @users.zero?
      end
      idle ? free : 0
    end

    # Raises: a copy would release the pointer a second time. The copy already has the finalizer.
    def initialize_copy(_)
      ObjectSpace.undefine_finalizer(self)
      raise TypeError, "a #{self.class} cannot be copied; a store has retain"
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

    # Yields the pointer, and keeps it from being released in the meantime.
    def using
      @guard.synchronize do
        raise Error.new(Library::CLOSED, "this #{self.class} was released") if @released

        @users += 1
      end
      begin
        yield @pointer
      ensure
        last = @guard.synchronize { (@users -= 1).zero? && @released }
        free if last
      end
    end

    # Calls a function that returns a status.
    def call(function, *arguments)
      using { |pointer| check(Library.public_send(function, pointer, *arguments)) }
    end

    # Calls a function that sets a key, or the one that does so for a time.
    def call_set(function, key, value, ttl)
      return call(function, *bytes(key, value)) if ttl.nil?

      call(:"#{function}_ttl", *bytes(key, value), milliseconds(ttl))
    end

    # Calls a function that cannot fail.
    def ask(function, *arguments)
      using { |pointer| Library.public_send(function, pointer, *arguments) }
    end

    def free
      ObjectSpace.undefine_finalizer(self)
      @free.call(@pointer) || 0
    end

    class << self
      private

      # A block of the instance would keep the instance alive.
      def finalizer(pointer, free) = proc { free.call(pointer) }
    end
  end
  private_constant :Handle
end
