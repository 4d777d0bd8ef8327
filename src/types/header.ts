import { EMPTY_BYTES, fromHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, addressToBytes } from './address.ts';
import { type Hash, hashFromBytes, hashToBytes, keccakHash } from './hash.ts';
import { extraDataBytesMax, headerBytesMax } from './limits.ts';
import { EMPTY_TRIE_ROOT } from './listRoot.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  type RlpItem,
  rlpBytes,
  rlpToSafeInteger,
  rlpToUint,
  uintToRlp,
} from './rlp.ts';
import {
  asEpoch,
  asView,
  type Epoch,
  type Gas,
  type Height,
  type View,
  type Wei,
} from './units.ts';

/**
 * An Ethereum header, byte for byte, in the layout of Prague and Osaka (21 fields), so that any
 * library recomputes the block's hash. What this chain has no use for holds its empty value; what
 * consensus needs is the RLP list in `extraData`.
 */
export type Header = {
  readonly parentHash: Hash;
  /** The proposer's fee recipient. */
  readonly coinbase: Address;
  readonly stateRoot: Hash;
  readonly transactionsRoot: Hash;
  readonly receiptsRoot: Hash;
  readonly logsBloom: Uint8Array;
  readonly height: Height;
  readonly gasLimit: Gas;
  readonly gasUsed: Gas;
  /** Derived from the parent, hence predictable. */
  readonly prevRandao: Hash;
  readonly baseFeePerGas: Wei;
  readonly consensus: ConsensusFields;
};

export type ConsensusFields = {
  readonly networkId: Hash;
  readonly epoch: Epoch;
  readonly view: View;
  readonly parentView: View;
  readonly proposerIndex: number;
  /** Unix milliseconds; the header's own timestamp is this in whole seconds. */
  readonly timestampMs: number;
  /** The last block of its epoch. */
  readonly epochEnd: boolean;
  readonly validatorsHash: Hash;
  readonly nextValidatorsHash: Hash;
  readonly paramsHash: Hash;
};

export type HeaderRefusal = { code: 'RLP'; reason: string } | { code: 'HEADER'; field: string };

export const BLOOM_BYTES = 256;
const FORMAT_VERSION = 1;
const FLAG_EPOCH_END = 1;

/** keccak256(rlp([])): no uncles. */
const EMPTY_OMMERS_HASH = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';
/** sha256 of nothing: no execution requests (EIP-7685). */
const EMPTY_REQUESTS_HASH = '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** The fields that are the same in each header, in place, with the names that a refusal gives. */
const CONSTANT: readonly (readonly [index: number, name: string, bytes: Uint8Array])[] = [
  [1, 'sha3Uncles', constant(EMPTY_OMMERS_HASH)],
  [7, 'difficulty', EMPTY_BYTES],
  [14, 'nonce', new Uint8Array(8)],
  [16, 'withdrawalsRoot', constant(EMPTY_TRIE_ROOT)],
  [17, 'blobGasUsed', EMPTY_BYTES],
  [18, 'excessBlobGas', EMPTY_BYTES],
  [19, 'parentBeaconBlockRoot', new Uint8Array(32)],
  [20, 'requestsHash', constant(EMPTY_REQUESTS_HASH)],
];
const FIELDS = 21;
const CONSENSUS_FIELDS = 11;

/** Seconds, as Ethereum's header has it: several blocks may share one. */
export function timestampSeconds(header: Header): number {
  return Math.floor(header.consensus.timestampMs / 1000);
}

export function hashHeader(header: Header): Hash {
  return keccakHash(encodeHeader(header));
}

export function encodeHeader(header: Header): Uint8Array {
  return encodeRlp(headerToRlp(header));
}

export function headerToRlp(header: Header): RlpItem[] {
  const items: RlpItem[] = new Array<RlpItem>(FIELDS).fill(EMPTY_BYTES);
  for (const [index, , bytes] of CONSTANT) items[index] = bytes;
  items[0] = hashToBytes(header.parentHash);
  items[2] = addressToBytes(header.coinbase);
  items[3] = hashToBytes(header.stateRoot);
  items[4] = hashToBytes(header.transactionsRoot);
  items[5] = hashToBytes(header.receiptsRoot);
  items[6] = header.logsBloom;
  items[8] = uintToRlp(header.height);
  items[9] = uintToRlp(header.gasLimit);
  items[10] = uintToRlp(header.gasUsed);
  items[11] = uintToRlp(timestampSeconds(header));
  items[12] = encodeConsensusFields(header.consensus);
  items[13] = hashToBytes(header.prevRandao);
  items[15] = uintToRlp(header.baseFeePerGas);
  return items;
}

/** The header's `extraData`. */
export function encodeConsensusFields(fields: ConsensusFields): Uint8Array {
  return encodeRlp([
    uintToRlp(FORMAT_VERSION),
    hashToBytes(fields.networkId),
    uintToRlp(fields.epoch),
    uintToRlp(fields.view),
    uintToRlp(fields.parentView),
    uintToRlp(fields.proposerIndex),
    uintToRlp(fields.timestampMs),
    uintToRlp(fields.epochEnd ? FLAG_EPOCH_END : 0),
    hashToBytes(fields.validatorsHash),
    hashToBytes(fields.nextValidatorsHash),
    hashToBytes(fields.paramsHash),
  ]);
}

export function decodeHeader(bytes: Uint8Array): Verdict<Header, HeaderRefusal> {
  const list = decodeRlp(bytes, headerBytesMax);
  if (!list.ok) return list;
  return headerFromRlp(list.value);
}

export function headerFromRlp(item: RlpItem): Verdict<Header, HeaderRefusal> {
  if (!isRlpList(item) || item.length !== FIELDS) return bad('layout');
  for (const [index, name, want] of CONSTANT) {
    const got = item[index];
    if (!(got instanceof Uint8Array) || Buffer.compare(got, want) !== 0) return bad(name);
  }
  const hash = (index: number) => rlpBytes(item[index], 32);
  const parentHash = hash(0);
  if (parentHash === null) return bad('parentHash');
  const coinbase = rlpBytes(item[2], 20);
  if (coinbase === null) return bad('miner');
  const stateRoot = hash(3);
  if (stateRoot === null) return bad('stateRoot');
  const transactionsRoot = hash(4);
  if (transactionsRoot === null) return bad('transactionsRoot');
  const receiptsRoot = hash(5);
  if (receiptsRoot === null) return bad('receiptsRoot');
  const logsBloom = rlpBytes(item[6], BLOOM_BYTES);
  if (logsBloom === null) return bad('logsBloom');
  const height = rlpToUint(item[8], 8);
  if (height === null) return bad('number');
  const gasLimit = rlpToUint(item[9], 8);
  if (gasLimit === null) return bad('gasLimit');
  const gasUsed = rlpToUint(item[10], 8);
  if (gasUsed === null) return bad('gasUsed');
  const consensus = decodeConsensusFields(item[12]);
  if (consensus === null) return bad('extraData');
  const timestamp = rlpToSafeInteger(item[11]);
  if (timestamp !== Math.floor(consensus.timestampMs / 1000)) return bad('timestamp');
  const prevRandao = hash(13);
  if (prevRandao === null) return bad('mixHash');
  const baseFeePerGas = rlpToUint(item[15], 32);
  if (baseFeePerGas === null) return bad('baseFeePerGas');
  return accept({
    parentHash: hashFromBytes(parentHash),
    coinbase: addressFromBytes(coinbase),
    stateRoot: hashFromBytes(stateRoot),
    transactionsRoot: hashFromBytes(transactionsRoot),
    receiptsRoot: hashFromBytes(receiptsRoot),
    logsBloom: logsBloom.slice(),
    height: height as Height,
    gasLimit: gasLimit as Gas,
    gasUsed: gasUsed as Gas,
    prevRandao: hashFromBytes(prevRandao),
    baseFeePerGas: baseFeePerGas as Wei,
    consensus,
  });
}

function decodeConsensusFields(item: RlpItem | undefined): ConsensusFields | null {
  if (!(item instanceof Uint8Array)) return null;
  const list = decodeRlp(item, extraDataBytesMax);
  if (!list.ok || !isRlpList(list.value) || list.value.length !== CONSENSUS_FIELDS) return null;
  const items = list.value;
  const numbers = [0, 2, 3, 4, 5, 6, 7].map((index) => rlpToSafeInteger(items[index]));
  const [version, epoch, view, parentView, proposerIndex, timestampMs, flags] = numbers;
  if (version !== FORMAT_VERSION || epoch == null || view == null || parentView == null)
    return null;
  if (proposerIndex == null || timestampMs == null || flags == null) return null;
  // Unknown flags belong to a later format: a reader that ignored one could misjudge the block.
  if (flags > FLAG_EPOCH_END || proposerIndex > 0xffff) return null;
  const hashes = [1, 8, 9, 10].map((index) => rlpBytes(items[index], 32));
  const [networkId, validatorsHash, nextValidatorsHash, paramsHash] = hashes;
  if (networkId == null || validatorsHash == null) return null;
  if (nextValidatorsHash == null || paramsHash == null) return null;
  return {
    networkId: hashFromBytes(networkId),
    epoch: asEpoch(epoch),
    view: asView(view),
    parentView: asView(parentView),
    proposerIndex,
    timestampMs,
    epochEnd: flags === FLAG_EPOCH_END,
    validatorsHash: hashFromBytes(validatorsHash),
    nextValidatorsHash: hashFromBytes(nextValidatorsHash),
    paramsHash: hashFromBytes(paramsHash),
  };
}

function bad(field: string): { ok: false; refusal: HeaderRefusal } {
  return refuse({ code: 'HEADER', field });
}

function constant(hex: string): Uint8Array {
  return fromHex(hex) ?? EMPTY_BYTES;
}
