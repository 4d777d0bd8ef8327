/**
 * The library's machine at this chain's rules and prices, and without what costs most of its time
 * (`npm run bench:evm`): its gas and its results are the same.
 */
import { Common, Hardfork, Mainnet } from '@ethereumjs/common';
import {
  EVM,
  EVMError,
  type EVMResult,
  type Message,
  NobleBN254,
  type PrecompileFunc,
} from '@ethereumjs/evm';
import type { Address as LibraryAddress } from '@ethereumjs/util';
import { keccak256 } from '#src/crypto/keccak.ts';
import { recover } from '#src/crypto/secp256k1.ts';
import { EMPTY_BYTES } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { fastOpcodes } from './fastOpcodes.ts';
import { installJumpTables } from './jumpTables.ts';
import { precompilePrices } from './precompilePrices.ts';
import { Warmth } from './warmth.ts';
import type { World } from './world.ts';

await installJumpTables();

/** The newest fork that the library calls stable; its header is ours (`src/types/header.ts`). */
const HARDFORK = Hardfork.Osaka;
/** SELFDESTRUCT burns no coin (EIP-8246): ledger invariant 1 knows no burning. */
const NO_BURNING = 8246;

class Rules extends Common {
  override isActivatedEIP(eip: number): boolean {
    return eip === NO_BURNING || super.isActivatedEIP(eip);
  }
}

export type Called = Message & { to: LibraryAddress };

export class LeanEvm extends EVM {
  constructor(world: World, chainId: bigint) {
    const common = new Rules({
      chain: { ...Mainnet, chainId: `${chainId}` },
      hardfork: HARDFORK,
      customCrypto: { keccak256, ecrecover },
    });
    super({ common, stateManager: world, blockchain: world, bn254: new NobleBN254() });
    this.journal = new Warmth(world) as unknown as EVM['journal'];
    for (const [address, code] of this._precompiles) {
      const times = precompilePrices.get(`0x${address}` as Address);
      if (times === undefined) this._precompiles.delete(address);
      else if (times !== 1n) this._precompiles.set(address, repriced(code, times));
    }
    for (const [opcode, run] of fastOpcodes) {
      const entry = this._opcodeMap[opcode];
      assert(entry !== undefined, 'the library knows the opcode');
      entry.opHandler = run as unknown as OpHandler;
    }
  }

  /** A call from within that moves no coin, as the library does it, but without looking at accounts. */
  protected async callCode(message: Called): Promise<EVMResult> {
    const { gasRefund, data, gasLimit } = message;
    await this._loadCode(message);
    const { code } = message;
    if (typeof code === 'function') {
      return { execResult: { ...(await this.runPrecompile(code, data, gasLimit)), gasRefund } };
    }
    if (code === undefined || code.length === 0) {
      return { execResult: { executionGasUsed: 0n, returnValue: EMPTY_BYTES, gasRefund } };
    }
    return { execResult: await this.runInterpreter(message) };
  }

  /** Calls from within: without the library's events, and without what only other forks need. */
  override async runCall(options: Parameters<EVM['runCall']>[0]): Promise<EVMResult> {
    const { message } = options;
    if (message === undefined) return super.runCall(options);
    if (message.to === undefined) {
      message.code = message.data;
      this.journal.addWarmedAddress((await this._generateAddress(message)).bytes);
    }
    await this.journal.checkpoint();
    this.transientStorage.checkpoint();
    const result =
      message.to === undefined
        ? await this._executeCreate(message)
        : await this._executeCall(message as Called);
    if (result.execResult.exceptionError === undefined) {
      await this.journal.commit();
      this.transientStorage.commit();
      return result;
    }
    await this.journal.revert();
    this.transientStorage.revert();
    const nothing = { selfdestruct: new Map(), createdAddresses: new Set<never>(), logs: [] };
    return { ...result, execResult: { ...result.execResult, ...nothing, gasRefund: 0n } };
  }
}

type OpHandler = EVM['_opcodeMap'][number]['opHandler'];

/** The same function at so many times its price. */
function repriced(code: PrecompileFunc, times: bigint): PrecompileFunc {
  return async (input) => {
    const result = await code({ ...input, gasLimit: input.gasLimit / times });
    const isOutOfGas = result.exceptionError?.error === EVMError.errorMessages.OUT_OF_GAS;
    const used = isOutOfGas ? input.gasLimit : result.executionGasUsed * times;
    return { ...result, executionGasUsed: used };
  };
}

/** The 64-byte key; the library takes a throw for "no key". */
function ecrecover(digest: Uint8Array, v: bigint, r: Uint8Array, s: Uint8Array): Uint8Array {
  const signature = new Uint8Array(64);
  signature.set(r, 32 - r.length);
  signature.set(s, 64 - s.length);
  const key = recover(digest, signature, Number(v - 27n));
  if (key === null) throw new Error('no key signs so');
  return key;
}
