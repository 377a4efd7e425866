# frozen_string_literal: true

require_relative 'store'

module Kvds
  # Returns stores by name. Any thread may use it at any time.
  class Distributor < Handle
    # Creates a distributor whose disk stores are under the directory +path+; nil for no disk
    # stores. The options are those of kvds_options_set, such as <tt>durability: :sync</tt> or
    # <tt>cluster: 'etcd://host:2379/namespace'</tt>.
    def initialize(path = nil, **options)
      base = path && text(path)
      distributor = with_options(options) do |made|
        opened { |out| check(Library.kvds_distributor_open(base, made, out)) }
      end
      super(distributor, Library.method(:kvds_distributor_release))
    end

    # Returns the live store +id+ on :memory, :disk or :cluster, or creates or opens it. Returns nil
    # if the options forbid creating it. With a block, it yields the store, releases it, and returns
    # the block's result.
    def get_or_create(id, backend, &block)
      lent(:kvds_distributor_get_or_create, id, backend, &block)
    end

    # Returns the live store +id+, or nil. A block is the same as that of +get_or_create+.
    def get(id, backend, &block) = lent(:kvds_distributor_get, id, backend, &block)

    # Deletes the files of a disk store, or the keys of a cluster store, that is not live in this
    # distributor. Returns whether there was one.
    def destroy(id, backend)
      yes?(call(:kvds_distributor_destroy, id_text(id), number(backend)))
    end

    # Closes every live store. Later calls that ask for a store raise an error.
    def shutdown
      call(:kvds_distributor_shutdown)
      nil
    end

    # Returns the number of live stores.
    def store_count = ask(:kvds_distributor_store_count)

    private

    def lent(function, id, backend, &block)
      pointer = opened { |out| call(function, id_text(id), number(backend), out) }
      Store.send(:lend, pointer, &block)
    end

    def number(backend)
      BACKENDS.fetch(backend) do
        message = "the backend must be :memory, :disk or :cluster, not #{backend.inspect}"
        raise Error.new(Library::INVALID_ARGUMENT, message)
      end
    end
  end
end
