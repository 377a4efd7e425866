# frozen_string_literal: true

# Tests what only Ruby has: errors, blocks and what leaves them, threads, released objects, and
# the garbage collector.

require_relative 'assertions'

distributor = Kvds::Distributor.new
store = distributor.get_or_create('store', :memory)
must(Kvds.version.match?(/\A\d+\.\d+\.\d+\z/), true)

# Every function of kvds.h can be called.
library = Kvds.const_get(:Library)
missing = library::FUNCTIONS.reject { |function| library.respond_to?(function[/\w+(?=\()/]) }
must([missing, library::FUNCTIONS.size > 80], [[], true])
must(library.kvds_status_name(library::INTERNAL).to_s, 'KVDS_INTERNAL')

# Bad arguments raise errors and change nothing.
error(TypeError) { store.set('key', 1) }
error(TypeError) { store[nil] }
error(TypeError) { store.set_batch('a' => 'b', 'c' => 1) }
error(TypeError) { store.set_batch('ab') }
error(TypeError) { store.set_batch(nil) }
error(TypeError) { store.delete_batch('n') }
error(TypeError) { store.multi_get('n') }
error(TypeError) { store.write(store) }
error(TypeError) { store.write(nil) }
fails('KVDS_INVALID_ARGUMENT', 'NUL') { distributor.get_or_create("a\0b", :memory) }
fails('KVDS_INVALID_ARGUMENT', ':tape') { distributor.get_or_create('a', :tape) }
fails('KVDS_INVALID_ARGUMENT', '0.5') { store.add('n', 0.5) }
fails('KVDS_INVALID_ARGUMENT', '64 bits') { store.add('n', 2**63) }
fails('KVDS_INVALID_ARGUMENT', 'durabilty') { Kvds::Distributor.new(durabilty: :sync) }
fails('KVDS_INVALID_ARGUMENT', 'path') { distributor.get_or_create('a', :disk) }
error(NoMethodError) { Kvds::Store.new(1) }
must(store.property('kvds.keys'), '0')
must(store.add('n', -(2**63)), -(2**63))
Kvds::Distributor.new(durability: :sync, keep_stores: true, memory_limit_bytes: 1024).release

# A store is opened by its path.
Dir.mktmpdir do |directory|
  path = File.join(directory, 'rm 2')
  must(Kvds::Store.open(path, create_if_missing: false), nil)
  must(Kvds::Store.open(path, durability: :sync) { |opened| opened['a'] = '1' }, '1')
  opened = Kvds::Store.open(path)
  must([opened.id, opened.backend, opened.tag, opened['a']], [path, :disk, 0, '1'])
  fails('KVDS_LOCKED', 'rm 2') { Kvds::Store.open(path) }
  opened.release
  fails('KVDS_INVALID_ARGUMENT', 'path') { Kvds::Store.open('') }
  fails('KVDS_INVALID_ARGUMENT', 'NUL') { Kvds::Store.open("a\0b") }
  fails('KVDS_INVALID_ARGUMENT', 'durabilty') { Kvds::Store.open(path, durabilty: :sync) }
end

# Ids of memory stores are any bytes.
["\xFF".b, "caf\xE9".b, "\xFF", '/' * 65_536].each do |id|
  distributor.get_or_create(id, :memory) { |named| must(named.id.b, id.b) }
end
fails('KVDS_INVALID_ARGUMENT', 'NUL') { distributor.get_or_create("a\0b".b, :memory) }

# Lists have the elements that they yield, whatever their size method returns.
['n', 'none', 'm'].each { |key| store[key] = key }
liar = Enumerator.new(1000) { |list| list << 'n' << 'none' }
must(store.multi_get(liar), %w[n none])
store.delete_batch(liar)
must(store.multi_get(%w[n none m].each), [nil, nil, 'm'])
store.set_batch(Enumerator.new(1000) { |list| list << %w[n 1] })
must(store.to_a, [%w[m m], %w[n 1]])

# Strings are bytes, whatever their encoding.
store.delete_prefix('')
store['ключ'] = 'значение'.encode('UTF-16LE')
must(store['ключ'.b].encoding, Encoding::BINARY)
must(store['ключ'].force_encoding('UTF-16LE').encode('UTF-8'), 'значение')
store.delete('ключ')

# Blocks: false ends an iteration, exceptions are raised again, and jumps do not pass the library.
store.set_batch('a' => '1', 'b' => '2', 'c' => '3')
seen = []
must(store.iterate { |key, _| seen.push(key).size < 2 }, false)
must(seen, %w[a b])
mine = Class.new(Exception)
error(mine) { store.iterate { raise mine } }
error(LocalJumpError) { store.iterate { break } }
error(LocalJumpError) { catch(:out) { store.iterate { throw :out } } }
def leave(store) = store.iterate { return 1 }
error(LocalJumpError) { leave(store) }
killed = Thread.new { error(LocalJumpError) { store.iterate { Thread.exit } } }
must(killed.value.class, LocalJumpError)
must(store.iterate { |key, value| store.iterate(key) { |_, same| must(same, value) } }, true)
must(store.iterate { |key, _| store.delete(key) }, true)
must(store.to_a, [])

# The library has returned from the iteration that was left. Otherwise it would keep the files open,
# and the second distributor could not open them.
Dir.mktmpdir do |path|
  2.times do
    own = Kvds::Distributor.new(path)
    own.get_or_create('store', :disk) do |disk|
      disk['key'] = 'value'
      error(mine) { disk.iterate { raise mine } }
      error(LocalJumpError) { disk.iterate { break } }
      disk.each { break }
    end
    own.release
  end
end

# The loops of Ruby may be left in any way, and free their cursor.
store.set_batch([%w[a 1], %w[b 2], %w[a 3]])
must(store.each { |key, _| break key }, 'a')
must(store.each(start: 'b').to_a, [%w[b 2]])
must(store.each(finish: 'b').to_a, [%w[a 3]])
must(store.lazy.map { |key, _| key }.first, 'a')
must(store.multi_get([]), [])

# Other threads run while one is inside a call, and each has its own error text.
texts = %i[tape drum].map do |backend|
  both = [-> { distributor.get('a', backend) }, -> { store.set('k' * 65_537, '') }]
  Thread.new { Array.new(200) { both.map { |call| error(&call).message }.join } }
end
texts.map(&:value).zip(%w[tape drum]) do |all, name|
  all.each { |text| must(text.match?(/#{name}.*65536/m), true) }
end

# Objects are released once, and raise an error when they are used afterwards.
again = store.retain
must([again.release, again.release, store.ref_count], [1, 0, 1])
fails('KVDS_CLOSED', 'this Kvds::Store was released') { again['a'] }
cursor = store.cursor
cursor.release
fails('KVDS_CLOSED', 'this Kvds::Cursor was released') { cursor.first }
must(distributor.get('store', :memory) { |same| same.ref_count }, 2)
error(mine) { distributor.get('store', :memory) { raise mine } }
must(store.ref_count, 1)

# A copy would release a pointer that it does not own.
error(TypeError) { store.dup }
error(TypeError) { store.clone }
GC.start
must(store.ref_count, 1)

# A release waits for running calls of all threads.
2.times do |n|
  shared = distributor.get_or_create('shared', :memory)
  shared['key'] = 'value'
  done = shared.iterate do |key, _|
    must(n.zero? ? Thread.new { shared.release }.value : shared.release, 0)
    must(distributor.store_count, 2)
    fails('KVDS_CLOSED', 'this Kvds::Store was released') { shared[key] }
  end
  must(done, true)
  must(distributor.store_count, 1)
end

# A store that is released during writes of other threads is not used afterwards, nor is the memory
# at its address.
100.times do
  again = store.retain
  writing = Thread.new { error { loop { again.set('key', 'value') } }.code }
  again.release
  must(writing.value, 'KVDS_CLOSED')
end

# The garbage collector releases unreachable objects.
100.times { store.retain.cursor.first }
GC.start
must(store.ref_count < 50, true)

store.release
distributor.release

# An empty $KVDS_LIBRARY is none: it is the system's library then, which the loader looks for here.
system = { 'KVDS_LIBRARY' => '', 'LD_LIBRARY_PATH' => File.dirname(ENV.fetch('KVDS_LIBRARY')) }
command = [system, RbConfig.ruby, '-r', './kvds', '-e', 'print Kvds.version']
must(IO.popen(command, &:read), Kvds.version)
puts 'kvds_test: passed'
