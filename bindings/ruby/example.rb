# frozen_string_literal: true

# Years of birth, in a memory store: get, set, iterate with a callback, retain and release.
#
#     KVDS_LIBRARY=.../libkvds.so ruby example.rb

require_relative 'kvds'

distributor = Kvds::Distributor.new
born = distributor.get_or_create('born', :memory)

born['ada'] = '1815'
born['alan'] = '1912'
born.set('grace', '1906')
puts "ada was born in #{born['ada']}"
puts "edsger is #{born.get('edsger') || 'not there'}"

# Every key that begins with "a", in order. A block that returns false ends it.
born.iterate('a') { |key, value| puts "#{key}: #{value}" }

# The same as any Ruby collection, over any range.
puts born.each(start: 'alan').map { |key, _| key.upcase }.join(' ')
puts born.max_by { |_, value| value.to_i }.first

# A second reference keeps the store and its data when the first is released.
again = born.retain
puts "references left: #{born.release}"
puts "grace was born in #{again['grace']}"

# A released store cannot be used: the call raises an error with a text and a code.
begin
  born['ada']
rescue Kvds::Error => e
  puts "#{e.code}: #{e.message}"
end

puts "references left: #{again.release}"

# At the end of a block the store is released.
distributor.get_or_create('visits', :memory) { |visits| puts "visits: #{visits.add('home', 3)}" }

puts "stores: #{distributor.store_count}"
distributor.release
