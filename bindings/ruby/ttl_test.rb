# frozen_string_literal: true

# Tests times to live, on memory and disk.

require_relative 'assertions'

NEVER = Float::INFINITY
HOUR = 3600

on_each do |store|
  # A key is gone after its time. The rest of a millisecond counts as one.
  store.set('short', '', ttl: 0.0001)
  store.set('long', 'value', ttl: HOUR)
  must(store.ttl('none'), nil)
  wait_until { !store.key?('short') }
  must([store.ttl('short'), store['long']], [nil, 'value'])
  must(store.ttl('long').between?(0, HOUR), true)

  # A time is renewed, and ends.
  must(store.expire('long', Rational(2 * HOUR)), true)
  must(store.ttl('long').between?(HOUR, 2 * HOUR), true)
  must([store.expire('long', NEVER), store.ttl('long')], [true, NEVER])
  store.set('long', '', ttl: HOUR)
  store['long'] = 'value'
  must(store.ttl('long'), NEVER)
  must(store.expire('none', HOUR), false)

  # A lock frees itself, and its owner renews it.
  must(store.set_nx('lock', 'one', ttl: HOUR), true)
  must(store.set_nx('lock', 'two', ttl: 0.001), false)
  renewal = Kvds::Batch.new.expect('lock', 'one').expire('lock', 2 * HOUR)
  must(store.write(renewal), true)
  must(store.ttl('lock').between?(HOUR, 2 * HOUR), true)
  store.expire('lock', 0.001)
  wait_until { store.set_nx('lock', 'two', ttl: HOUR) }
  must(store.write(renewal), false)

  # A batch sets times.
  store.set_batch('old' => '', 'forever' => '')
  batch = Kvds::Batch.new.set('short', '', ttl: 0.001).set('kept', '', ttl: 0.001)
  batch.expire('kept', NEVER).expire('old', 0.001).expire('none', 1).set('new', '')
  must(store.write(batch), true)
  wait_until { !store.key?('short') && !store.key?('old') }
  must(%w[kept forever new none].map { |key| store.ttl(key) }, [NEVER, NEVER, NEVER, nil])

  # A wrong time is an error, and changes nothing.
  years = 36_525 * 24 * HOUR
  [0, -1, -0.0, years + 1, Float::NAN, -NEVER, '1', false].each do |wrong|
    fails('KVDS_INVALID_ARGUMENT', wrong.inspect) { store.set('wrong', '', ttl: wrong) }
    fails('KVDS_INVALID_ARGUMENT', wrong.inspect) { store.set_nx('wrong', '', ttl: wrong) }
    fails('KVDS_INVALID_ARGUMENT', wrong.inspect) { store.expire('new', wrong) }
    fails('KVDS_INVALID_ARGUMENT', wrong.inspect) { batch.set('wrong', '', ttl: wrong) }
    fails('KVDS_INVALID_ARGUMENT', wrong.inspect) { batch.expire('new', wrong) }
  end
  fails('KVDS_INVALID_ARGUMENT', 'Infinity') { store.set('wrong', '', ttl: NEVER) }
  must([store['wrong'], store.ttl('new')], [nil, NEVER])
  store.set('right', '', ttl: years)
end
puts 'ttl_test: passed'
