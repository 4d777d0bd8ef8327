/**
 * Every table of the chain's database, with its key and value in words. The prefix byte is the
 * first byte of the key on disk; a number, once given, is never given to another table.
 */
export const TABLES = {
  /** schema, head, where the archive begins: short ASCII key -> value */
  meta: 0x01,
  /** height u64 -> RLP block (header, transactions) */
  blocks: 0x02,
  /** block hash 32 -> height u64 */
  heights: 0x03,
  /** height u64 -> certificate of finality, where the block was finalized by its own */
  certificates: 0x04,
  /** height u64 -> RLP list of receipts */
  receipts: 0x05,
  /** transaction hash 32 -> height u64, index u32 */
  transactions: 0x06,
  /** address 20, height u64, index u32, entry u32 -> history entry */
  history: 0x07,
  /** address 20 -> RLP account */
  accounts: 0x08,
  /** address 20, slot 32 -> value without leading zeros */
  slots: 0x09,
  /** code hash 32 -> code */
  code: 0x0a,
  /** owner (0 or 20), path nibbles -> RLP trie node */
  trie: 0x0b,
  /** height u64 -> what accounts and slots held before the block */
  undo: 0x0c,
  /** height u64 -> commit record, linked by hash to the one before */
  commits: 0x0d,
  /** height u64 -> 20-byte sender of each transaction */
  senders: 0x0e,
  /** epoch u64 -> height u64 of the last block before it, RLP list of its validators */
  epochs: 0x0f,
  /** archive: table byte, key, 0xff, number of the change u32 -> height u64, value before */
  past: 0x10,
  /** archive: table byte, key -> how many changes u32 */
  pastCounts: 0x11,
} as const;

export type Table = keyof typeof TABLES;

/** Raised when a table's key or value changes shape; an older program refuses a newer number. */
export const SCHEMA_VERSION = 4;
