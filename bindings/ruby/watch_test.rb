# frozen_string_literal: true

# Tests watches, on memory and disk.

require_relative 'assertions'

# Returns a change as text, without the number of its write.
def shown(change)
  text = "#{change.kind} #{change.key}"
  text += "=#{change.value}" if change.value
  text += "..#{change.finish}" if change.finish
  change.last? ? "#{text}." : text
end

def pending(watch)
  changes = []
  while (change = watch.next(0))
    changes << shown(change)
  end
  changes
end

on_each do |store|
  # A watch reports the writes since its creation.
  store['before'] = ''
  all = store.watch
  store['a'] = '1'
  store[''] = ''
  store.delete('a')
  must(pending(all), ['set a=1.', 'set =.', 'delete a.'])
  must(all.next(0.001), nil)
  error(TypeError) { all.next('1') }

  # The changes of a batch have one number, which the next write exceeds.
  store.write(Kvds::Batch.new.set('c', "\0\xFF").delete('d'))
  store.expire('c', 0.001)
  changes = Array.new(4) { all.next(60) }
  must(changes.map { |change| shown(change) },
       ["set c=\0\xFF".b, 'delete d.', "set c=\0\xFF.".b, 'delete c.'])
  numbers = changes.map(&:sequence)
  must([numbers[0] == numbers[1], numbers.uniq, numbers.sort], [true, numbers[1..], numbers])
  must([changes[0].key.encoding, changes[0].value.encoding], [Encoding::BINARY] * 2)

  # A watch continues after another one.
  after = numbers[2]
  next_one = store.watch(after: after)
  all.release
  must(pending(next_one), ['delete c.'])
  next_one.release
  fails('KVDS_EXPIRED', '') { store.watch(after: after) }
  error(TypeError) { store.watch(after: 'a') }
  error(TypeError) { store.watch(prefix: 1) }

  # A watch has a range, and that of a scope has its keys.
  part = store.watch(prefix: 'b', start: 'ba', finish: 'bc')
  scoped = store.scope('b').watch
  %w[a b bb bc c].each { |key| store[key] = '' }
  store.write(Kvds::Batch.new.set('ba', '').set('c', ''))
  must(pending(part), ['set bb=.', 'set ba=.'])
  must(pending(scoped), ['set =.', 'set b=.', 'set c=.', 'set a=.'])
  [part, scoped].each(&:release)

  # A deleted prefix is a range. Disk stores delete the keys of a smaller one one by one.
  { 'b' => 'delete_range b..c.', '' => 'delete_range .' }.each do |prefix, wanted|
    store.set_batch(Array.new(1100) { |n| ["b#{n + 1000}", ''] })
    all = store.watch
    part = store.watch(prefix: 'b1')
    store.delete_prefix(prefix)
    must(pending(all) + pending(part), [wanted, 'delete_range b1..b2.'])
    [all, part].each(&:release)
  end

  # Another thread writes while one waits. The loop of a block may be left, and frees the watch.
  keys = []
  all = store.watch
  writing = Thread.new { 3.times { |n| store[n.to_s] = '' } }
  must(all.each { |change| break 'left' if keys.push(change.key).size == 2 }, 'left')
  must([keys, all.lazy.map(&:key).first], [%w[0 1], '2'])
  writing.join
  # The pauses keep the writer from filling the buffer on a slow machine.
  writing = Thread.new { loop { store['key'] = '' and sleep 0.001 } }
  must(store.watch { |change| break change.key }, 'key')
  error(ArgumentError) { store.watch { |_| raise ArgumentError } }
  writing.kill.join
  must(all.each.size, nil)

  # A thread that waits can be interrupted.
  pending(all)
  waiting = Thread.new { error(IOError) { all.next } }
  wait_until { waiting.stop? }
  waiting.raise(IOError)
  must(waiting.value.class, IOError)
  killed = Thread.new { all.next }
  wait_until { killed.stop? }
  killed.kill.join

  # IO.select takes a watch.
  must(IO.select([all], nil, nil, 0), nil)
  store['a'] = '1'
  must(IO.select([all], nil, nil, 60), [[all], [], []])
  must([pending(all), IO.select([all], nil, nil, 0)], [['set a=1.'], nil])
  must(all.fileno > 2, true)

  # A release by another thread ends the wait.
  waiting = Thread.new { error { all.next }.code }
  wait_until { waiting.stop? }
  all.release
  must(waiting.value, 'KVDS_CLOSED')
  fails('KVDS_CLOSED', 'this Kvds::Watch was released') { all.fileno }

  fails('KVDS_UNSUPPORTED', '') { store.snapshot.watch }
  error(NoMethodError) { Kvds::Watch.new(1) }
end

# A watch ends with its store.
%i[close release].each do |ending|
  on_each do |store|
    watch = store.watch
    waiting = Thread.new { error { watch.next }.code }
    wait_until { waiting.stop? }
    store.public_send(ending)
    must(waiting.value, 'KVDS_CLOSED')
    fails('KVDS_CLOSED', 'closed') { watch.next(0) }
    watch.release
  end
end

# A watch that is too slow has missed changes, and continues.
on_each(watch_buffer_bytes: 4096) do |store|
  watch = store.watch
  store['first'] = ''
  after = watch.next.sequence
  100.times { store['key'] = 'v' * 100 }
  fails('KVDS_EXPIRED', '') { watch.next }
  store['later'] = ''
  must(pending(watch), ['set later=.'])
  fails('KVDS_EXPIRED', '') { store.watch(after: after) }
end
puts 'watch_test: passed'
