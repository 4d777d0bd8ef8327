/** What accounts hold at block 0: coin, and contracts as geth and Besu write them. */
import { fromHex, toHex } from '#src/lib/bytes.ts';
import type { Json, JsonObject } from '#src/lib/strictJson.ts';
import { type Address, isReservedAddress, isVirtualAddress, parseAddress } from './address.ts';
import { fields, integer, Stop, text } from './genesisFields.ts';
import { type Hash, hashToBytes, parseHash } from './hash.ts';
import { codeBytesMax, genesisAllocMax, genesisSlotsMax, nonceMax } from './limits.ts';
import { asWei, type Wei } from './units.ts';

export type GenesisContract = {
  readonly nonce: bigint;
  readonly code: Uint8Array;
  /** Words of 32 bytes, none of them zero, in the order of their keys. */
  readonly storage: ReadonlyMap<Hash, Hash>;
};

export type GenesisAccount = { readonly balance: Wei; readonly contract?: GenesisContract };

/** Stakes are coin too: the supply is what is here and what they hold. */
export function readAlloc(json: Json, staked: bigint): ReadonlyMap<Address, GenesisAccount> {
  if (!(json instanceof Map)) throw new Stop('$.alloc', 'should be an object');
  if (json.size > genesisAllocMax)
    throw new Stop('$.alloc', `more than ${genesisAllocMax} accounts`);
  const alloc = new Map<Address, GenesisAccount>();
  let sum = staked;
  for (const [key, value] of json as JsonObject) {
    const path = `$.alloc["${key.slice(0, 64)}"]`;
    const parsed = parseAddress(key.startsWith('0x') ? key : `0x${key}`);
    if (!parsed.ok) throw new Stop(path, 'is not an address, or its checksum is wrong');
    if (isReservedAddress(parsed.value)) throw new Stop(path, 'is reserved for the system');
    if (isVirtualAddress(parsed.value)) throw new Stop(path, 'is virtual: nobody has its key');
    if (alloc.has(parsed.value)) throw new Stop(path, 'stands twice, in another spelling');
    const entry = fields(value, path, ['balance'], ['code', 'nonce', 'storage']);
    const balance = asWei(integer(entry, 'balance', path, 0n, (1n << 256n) - 1n));
    sum += balance;
    if (sum >= 1n << 256n) throw new Stop(path, 'the balances add up to 2^256 or more');
    const contract = readContract(entry, path);
    alloc.set(parsed.value, contract === null ? { balance } : { balance, contract });
  }
  return new Map([...alloc].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function allocToJson(alloc: ReadonlyMap<Address, GenesisAccount>) {
  const account = ({ balance, contract }: GenesisAccount) => ({
    balance: balance.toString(),
    ...(contract !== undefined && {
      nonce: contract.nonce.toString(),
      code: toHex(contract.code),
      storage: Object.fromEntries(contract.storage),
    }),
  });
  return Object.fromEntries([...alloc].map(([address, held]) => [address, account(held)]));
}

/** Null where there is no code: a nonce or storage of its own belongs to nobody else. */
function readContract(entry: JsonObject, path: string): GenesisContract | null {
  if (!entry.has('code')) {
    const other = ['nonce', 'storage'].find((key) => entry.has(key));
    if (other !== undefined) throw new Stop(`${path}.${other}`, 'belongs to an account with code');
    return null;
  }
  const code = fromHex(text(entry, 'code', path));
  // EIP-170, EIP-3541: what no transaction could create.
  const isCode = code !== null && code.length > 0 && code.length <= codeBytesMax;
  if (!isCode || code[0] === 0xef) throw new Stop(`${path}.code`, 'should be code as 0x hex');
  const nonce = entry.has('nonce') ? integer(entry, 'nonce', path, 1n, nonceMax - 1n) : 1n;
  return { nonce, code, storage: readStorage(entry.get('storage') ?? new Map(), path) };
}

function readStorage(json: Json, path: string): ReadonlyMap<Hash, Hash> {
  const at = `${path}.storage`;
  if (!(json instanceof Map)) throw new Stop(at, 'should be an object');
  if (json.size > genesisSlotsMax) throw new Stop(at, `more than ${genesisSlotsMax} slots`);
  const storage = new Map<Hash, Hash>();
  for (const [key, value] of json as JsonObject) {
    const slot = parseHash(key);
    const word = typeof value === 'string' ? parseHash(value) : null;
    const isWord = word !== null && hashToBytes(word).some((byte) => byte !== 0);
    if (slot === null || !isWord) {
      throw new Stop(`${at}["${key.slice(0, 66)}"]`, 'should be 32 bytes for 32 bytes, not zero');
    }
    if (storage.has(slot)) throw new Stop(at, 'a slot stands twice, in another spelling');
    storage.set(slot, word);
  }
  return new Map([...storage].sort(([a], [b]) => (a < b ? -1 : 1)));
}
