# frozen_string_literal: true

# The script that every binding runs: ../conformance.json, which README.md beside it describes.
#
#     ruby conformance.rb BACKEND DIRECTORY [URL OF A NEW NAMESPACE]

require 'json'
require_relative 'kvds'

BACKEND = ARGV.fetch(0).to_sym
SCRIPT = JSON.parse(File.read(File.join(__dir__, '..', 'conformance.json')), symbolize_names: true)
DISTRIBUTOR = Kvds::Distributor.new(ARGV.fetch(1), cluster: ARGV[2].to_s)

def must(what, got, wanted)
  got == wanted or raise "#{what} is #{got.inspect[0, 200]}, and must be #{wanted.inspect[0, 200]}"
end

# Bytes of the script: a string whose characters are bytes, or such a string and a number of
# repetitions.
def bytes(given)
  given.is_a?(Array) ? bytes(given[0]) * given[1] : given.encode('ISO-8859-1').b
end

def pairs(given) = given.map { |pair| pair.map { |each| bytes(each) } }
def no(status, answer) = { status: answer ? 'KVDS_OK' : status }
def absent(answer) = no('KVDS_NOT_FOUND', answer)
def compared(answer) = answer.nil? ? absent(answer) : no('KVDS_MISMATCH', answer)

def moved(cursor, stands)
  must('the key', !cursor.key.nil?, stands)
  stands ? { pair: [cursor.key, cursor.value] } : absent(false)
end

# Returns a time to live in whole hours, the unit of the script.
def hours(left)
  return absent(left) unless left

  { number: left == Float::INFINITY ? -1 : (left / 3600).round }
end

def iterate(store, prefix:, stop_after: nil, **)
  shown = []
  whole = store.iterate(bytes(prefix)) { |key, value| shown.push([key, value]).size != stop_after }
  looped = store.each(prefix: bytes(prefix)).first(stop_after || shown.size + 1)
  must('what each shows', looped, shown)
  { status: whole ? 'KVDS_OK' : 'KVDS_STOPPED', pairs: shown }
end

def batch(operations)
  operations.each_with_object(Kvds::Batch.new) do |(name, *parts), made|
    made.public_send(name == 'del' ? :delete : name, *parts.map { |part| bytes(part) })
  end
end

# Each makes the call of a step (s) on its store or cursor (o), and returns its result as members of
# a step, or nothing.
CALLS = {
  distributor_store_count: ->(_, _) { { number: DISTRIBUTOR.store_count } },
  distributor_get: lambda { |_, s|
    made = DISTRIBUTOR.get(s[:id], BACKEND)
    { made: made, **absent(made) }
  },
  distributor_get_or_create: ->(_, s) { { made: DISTRIBUTOR.get_or_create(s[:id], BACKEND) } },
  distributor_shutdown: ->(_, _) { DISTRIBUTOR.shutdown },
  store_id: ->(o, _) { { value: o.id.b } },
  store_backend: ->(o, _) { must('the backend', o.backend, BACKEND) },
  store_tag: ->(o, _) { { number: o.tag } },
  store_ref_count: ->(o, _) { { number: o.ref_count } },
  store_retain: ->(o, _) { { made: o.retain } },
  store_release: ->(o, _) { { number: o.release } },
  store_view: ->(o, s) { { made: o.view(s[:rights].to_sym => true) } },
  store_scope: ->(o, s) { { made: o.scope(bytes(s[:prefix])) } },
  store_snapshot: ->(o, _) { { made: o.snapshot } },
  store_property: ->(o, s) { absent(o.property(s[:property])) },
  is_open: ->(o, _) { { number: o.open? ? 1 : 0 } },
  close: ->(o, _) { o.close },
  sync: ->(o, _) { o.sync },
  compact: ->(o, _) { o.compact },
  refresh: ->(o, _) { o.refresh },
  get: lambda { |o, s|
    value = o.get(bytes(s[:key]))
    { value: value, **absent(value) }
  },
  exists: ->(o, s) { absent(o.key?(bytes(s[:key]))) },
  multi_get: lambda { |o, s|
    keys = s[:keys].map { |key| bytes(key) }
    { pairs: keys.zip(o.multi_get(keys)).reject { |_, value| value.nil? } }
  },
  iterate: ->(o, s) { iterate(o, **s) },
  set: ->(o, s) { o.set(bytes(s[:key]), bytes(s[:value])) },
  set_ttl: ->(o, s) { o.set(bytes(s[:key]), bytes(s[:value]), ttl: 3600 * s[:hours]) },
  ttl: ->(o, s) { hours(o.ttl(bytes(s[:key]))) },
  del: ->(o, s) { absent(o.delete(bytes(s[:key]))) },
  set_nx: ->(o, s) { no('KVDS_EXISTS', o.set_nx(bytes(s[:key]), bytes(s[:value]))) },
  compare_and_swap: lambda { |o, s|
    compared(o.compare_and_swap(bytes(s[:key]), bytes(s[:expected]), bytes(s[:value])))
  },
  compare_and_delete: lambda { |o, s|
    compared(o.compare_and_delete(bytes(s[:key]), bytes(s[:expected])))
  },
  add: ->(o, s) { { value: o.add(bytes(s[:key]), Integer(s[:delta], 10)).to_s.b } },
  set_batch: ->(o, s) { o.set_batch(pairs(s[:pairs])) },
  delete_batch: ->(o, s) { o.delete_batch(s[:keys].map { |key| bytes(key) }) },
  delete_prefix: ->(o, s) { o.delete_prefix(bytes(s[:prefix])) },
  write: ->(o, s) { no('KVDS_MISMATCH', o.write(batch(s[:batch]))) },
  cursor_new: lambda { |o, s|
    prefix, start, finish = s.values_at(:prefix, :start, :end).map { |each| bytes(each || '') }
    { made: o.cursor(prefix: prefix, start: start, finish: finish) }
  },
  cursor_ttl: ->(o, _) { hours(o.ttl) },
  cursor_free: ->(o, _) { o.release && nil },
  cursor_first: ->(o, _) { moved(o, o.first) },
  cursor_last: ->(o, _) { moved(o, o.last) },
  cursor_next: ->(o, _) { moved(o, o.next) },
  cursor_prev: ->(o, _) { moved(o, o.prev) },
  cursor_seek: ->(o, s) { moved(o, o.seek(bytes(s[:key]))) }
}.freeze

# The value and the pairs of these are their arguments.
ARGUMENTS = %w[set set_ttl set_nx compare_and_swap set_batch].freeze

def answer(object, step)
  given = CALLS.fetch(step[:op].to_sym).call(object, step)
  { status: 'KVDS_OK', **(given.is_a?(Hash) ? given : {}) }
rescue Kvds::Error => e
  raise 'a failure has a text' if e.message.empty?

  { status: e.code }
end

named = {}
section = nil
SCRIPT[:steps].each_with_index do |step, i|
  next section = step[:name] if step[:op] == 'section'

  got = answer(named[step[:store] || step[:cursor]], step)
  named[step[:as]] = got[:made] if step[:as]
  must('the status', got[:status], step[:status] || 'KVDS_OK')
  must('the number', got[:number], step[:number]) if step[:number]
  must('the pair', got[:pair], pairs([step[:pair]])[0]) if step[:pair]
  next if ARGUMENTS.include?(step[:op])

  must('the value', got[:value], bytes(step[:value])) if step[:value]
  must('the pairs', got[:pairs], pairs(step[:pairs])) if step[:pairs]
rescue StandardError => e
  abort "step #{i} (#{section}): #{step[:op]}: #{e.message}"
end
DISTRIBUTOR.release
puts "conformance on #{BACKEND}: #{SCRIPT[:steps].size} steps"
