# frozen_string_literal: true

# What the tests assert with.

require 'tmpdir'
require_relative 'kvds'

def must(what, wanted)
  return if what == wanted

  line = caller_locations(1, 1)[0].lineno
  raise "#{line}: this is #{what.inspect}, and must be #{wanted.inspect}"
end

# The error that a block raises.
def error(of = Kvds::Error)
  yield
rescue of => e
  e
else
  raise "#{caller_locations(1, 1)[0].lineno}: this must raise #{of}"
end

def fails(code, text, &block)
  failure = error(&block)
  must(failure.code, code)
  must(failure.message[text], text)
end

# Yields a memory store, and a disk store.
def on_each(**options)
  %i[memory disk].each do |backend|
    Dir.mktmpdir do |path|
      distributor = Kvds::Distributor.new(path, **options)
      distributor.get_or_create('store', backend) { |store| yield store }
      distributor.release
    end
  end
end

# Waits until a block returns true, with a limit that no slow machine reaches.
def wait_until(seconds = 60)
  limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  until yield
    raise 'this takes too long' if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

    sleep 0.01
  end
end
