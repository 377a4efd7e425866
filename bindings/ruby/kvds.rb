# frozen_string_literal: true

# kvds for Ruby: ordered key-value stores in memory, on disk and in etcd.
#
# Keys, values and prefixes are strings of any bytes; results are binary (ASCII-8BIT). An expected
# negative result is nil or false; an error is a Kvds::Error. Distributors, stores, cursors, watches
# and batches own memory of the library. Their release, or the end of the block that they were asked
# for with, frees it; the garbage collector does so later. After a release their methods raise an
# error.
module Kvds
end

require_relative 'kvds/damage'
require_relative 'kvds/distributor'
