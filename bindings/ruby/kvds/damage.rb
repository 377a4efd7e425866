# frozen_string_literal: true

require_relative 'handle'

module Kvds
  # A damage of one file of a store.
  #
  # [file] the damaged file, or the store's directory if no single file is damaged.
  # [problem] a sentence that says what is damaged, and where in the file.
  # [loss] :none if what is damaged can be derived from the rest; :pairs or :ttls if pairs or times
  #        to live are lost, or may be.
  # [first] the loss affects no key before this one; nil if that is not known.
  # [last] the loss affects no key after this one; nil if that is not known.
  Damage = Struct.new(:file, :problem, :loss, :first, :last, keyword_init: true)

  # What Kvds.salvage has saved.
  #
  # [pairs] how many pairs were copied.
  # [lost] how many keys were left out because only a value was found that may be an older one. Keys
  #        of which nothing was found are not counted.
  # [ttls_lost] how many copied pairs may have had a time to live that cannot be read.
  # [damages] what is damaged in the old store.
  Salvaged = Struct.new(:pairs, :lost, :ttls_lost, :damages, keyword_init: true)

  class << self
    # Reads all files of the disk store in the directory +path+, and verifies every checksum.
    # Returns a list of each Damage, which is empty if there is none, or nil if there is no store.
    # The store may be open, also in another process. It is not changed. The options are those of a
    # Distributor.
    #
    # A block is called for each damage, and with nil for progress: <tt>Kvds.verify(path) { |damage,
    # bytes_done, bytes_total| }</tt>. The bytes are an estimate of the work. If the block returns
    # false, the call ends and returns the damages found so far. What else may leave the block is
    # the same as in Store#iterate.
    def verify(path, **options, &block) = Report.new(block).verify(path, options)

    # Copies what can be read of the damaged store in the directory +path+ into a new store in the
    # directory +target+, which must not exist. Returns a Salvaged, or nil if there is no store, or
    # false if the block stopped the call: then there is no new store. Raises KVDS_CORRUPTION if too
    # little is left.
    #
    # No copied pair is older than the last state of the damaged store; kvds.h documents two
    # exceptions, which are reported as damages. The damaged store must not be open, and is not
    # changed. The options and the block are those of Kvds.verify.
    def salvage(path, target, **options, &block) = Report.new(block).salvage(path, target, options)
  end

  # Collects the damages of a call, and calls a block, if there is one.
  class Report
    include Convert

    def initialize(block)
      @block = block
      @damages = []
    end

    def verify(path, options)
      status = with_options(options) do |made|
        calling_back(VISIT, method(:visit)) do |visit|
          found = Library.kvds_verify(text(path), made, visit, nil)
          found == Library::CORRUPTION && @damages.any? ? found : check(found)
        end
      end
      @damages unless status == Library::NOT_FOUND
    end

    def salvage(path, target, options)
      out = Library::Salvaged.malloc(Fiddle::RUBY_FREE)
      status = with_options(options) do |made|
        calling_back(VISIT, method(:visit)) do |visit|
          check(Library.kvds_salvage(text(path), text(target), made, visit, nil, out))
        end
      end
      return status == Library::STOPPED ? false : nil unless yes?(status)

      Salvaged.new(pairs: out.pairs, lost: out.lost, ttls_lost: out.ttls_lost, damages: @damages)
    end

    private

    def visit(_, pointer, done, total)
      damage = pointer.null? ? nil : damage_of(Library::Damage.new(pointer))
      @damages << damage if damage
      @block&.call(damage, done, total)
    end

    def damage_of(found)
      file, problem = [found.file, found.problem].map { |text| text.to_s.force_encoding('UTF-8') }
      first, last = [[found.first, found.first_len], [found.last, found.last_len]].map do |key, len|
        copy_of(key, len) unless key.null?
      end
      Damage.new(file: file, problem: problem, loss: LOSSES.fetch(found.loss), first: first,
                 last: last)
    end

    LOSSES = {
      Library::LOSS_NONE => :none, Library::LOSS_PAIRS => :pairs, Library::LOSS_TTLS => :ttls
    }.freeze

    # The parameters of kvds_damage_visit.
    VISIT = [
      Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP, -Fiddle::TYPE_LONG_LONG, -Fiddle::TYPE_LONG_LONG
    ].freeze
  end
  private_constant :Report
end
