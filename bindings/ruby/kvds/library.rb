# frozen_string_literal: true

require 'fiddle/import'
require_relative 'declarations'

module Kvds
  # The C library: kvds_get() of include/kvds.h is Library.kvds_get.
  module Library
    extend Fiddle::Importer
    named = ENV.fetch('KVDS_LIBRARY', '')
    dlload named.empty? ? 'libkvds.so.0' : named

    # Fiddle of Ruby 3.0 does not have these.
    typealias 'int32_t', 'int'
    typealias 'int64_t', 'long long'
    typealias 'uint64_t', 'unsigned long long'
    TYPES.each { |name, of| typealias name, of }
    STRUCTS.each { |name, fields| const_set(name, struct(fields)) }
    # An older library lacks newer functions: a call of one is a NoMethodError.
    FUNCTIONS.each { |function| extern function if handler.sym(function[/\w+(?=\()/]) }
  end
  private_constant :Library

  BACKENDS = {
    memory: Library::MEMORY, disk: Library::DISK, cluster: Library::CLUSTER
  }.freeze
  private_constant :BACKENDS

  # Returns the version of the library that is running.
  def self.version = Library.kvds_version.to_s
end
