# frozen_string_literal: true

# Tests damaged stores.

require_relative 'assertions'

KEYS = Array.new(2000) { |i| format('key%04d', i) }

def table_of(path) = Dir[File.join(path, '*.sst')].max_by { |file| File.size(file) }

Dir.mktmpdir do |directory|
  path, target = %w[store above/target].map { |name| File.join(directory, name) }
  Kvds::Store.open(path) do |store|
    store.set_batch(KEYS.map { |key| [key, "value of #{key}"] })
    store.expire(KEYS[0], 3600)
    store.compact
    must(Kvds.verify(path), [])
  end

  # A whole store has no damage.
  calls = []
  must(Kvds.verify(path, max_open_files: 100) { |*call| calls << call }, [])
  must(calls.any? && calls.all? { |damage, done, total| damage.nil? && done <= total }, true)

  table = table_of(path)
  content = File.binread(table)
  content.setbyte(content.size / 2, content.getbyte(content.size / 2) ^ 1)
  File.binwrite(table, content)

  # What can be read is saved.
  seen = []
  found = Kvds.verify(path) { |damage, _, _| seen << damage if damage }
  must([found.size, seen], [1, found])
  damage = found[0]
  must([damage.file, damage.loss, damage.problem.empty?], [table, :pairs, false])
  must([damage.file.encoding, damage.first.encoding], [Encoding::UTF_8, Encoding::BINARY])
  must(damage.first < damage.last, true)
  saved = Kvds.salvage(path, target)
  must([saved.damages, saved.ttls_lost, saved.lost >= 0], [found, 0, true])
  Kvds::Store.open(target) do |store|
    must([store.count, saved.pairs.between?(1, KEYS.size - 1)], [saved.pairs, true])
    must(store.all? { |key, value| value == "value of #{key}" }, true)
    missing = KEYS.reject { |key| store.key?(key) }
    must(missing.all? { |key| key.between?(damage.first, damage.last) }, true)
    must([store.ttl(KEYS[0]).between?(1, 3600), store.ttl(KEYS[-1])], [true, Float::INFINITY])
  end

  # The block stops both, and exceptions in it are raised again.
  new = File.join(directory, 'new')
  calls = []
  stop = ->(*call) { calls.push(call) && false }
  must([Kvds.verify(path, &stop), Kvds.salvage(path, new, &stop), calls.size], [[], false, 2])
  must(Kvds.verify(path) { |damage, _, _| damage.nil? }.size, 1)
  mine = Class.new(Exception)
  error(mine) { Kvds.verify(path) { calls.push(1) && raise(mine) } }
  error(mine) { Kvds.salvage(path, new) { calls.push(1) && raise(mine) } }
  error(LocalJumpError) { Kvds.verify(path) { break } }
  error(LocalJumpError) { Kvds.salvage(path, new) { break } }
  must([calls.size, File.exist?(new)], [4, false])

  # Wrong calls.
  must([Kvds.verify(new), Kvds.salvage(new, new)], [nil, nil])
  fails('KVDS_INVALID_ARGUMENT', 'exists') { Kvds.salvage(path, path) }
  fails('KVDS_INVALID_ARGUMENT', 'NUL') { Kvds.verify("a\0b") }
  fails('KVDS_INVALID_ARGUMENT', 'durabilty') { Kvds.verify(path, durabilty: :sync) }
  Kvds::Store.open(target) { fails('KVDS_LOCKED', target) { Kvds.salvage(target, new) } }
  must(File.exist?(new), false)
end
puts 'damage_test: passed'
