import { sha256 } from '#src/crypto/sha256.ts';
import { genesisEntry, type HistoryEntry } from '#src/history/history.ts';
import { VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import {
  foundContracts,
  foundingStake,
  genesisTokenAddress,
} from '#src/ledger/payments/founding.ts';
import { validatorSetIn } from '#src/ledger/payments/validatorRegistry.ts';
import { blockGasLimit, type LedgerRules } from '#src/ledger/rules.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay, trimSlot } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { concatBytes, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { makeBlock } from '#src/types/block.ts';
import { canonicalGenesis, type Genesis } from '#src/types/genesis.ts';
import type { GenesisContract } from '#src/types/genesisAlloc.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { BLOOM_BYTES, type Header } from '#src/types/header.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { asEpoch, asGas, asHeight, asView, asWei } from '#src/types/units.ts';
import type { ChainParams } from './params.ts';

const ZERO_HASH = `0x${'00'.repeat(32)}` as Hash;

/** Everything that a genesis fixes, block 0 and its state included. */
export function chainOf(genesis: Genesis): ChainParams {
  const { config } = genesis;
  const networkIdBytes = sha256(canonicalGenesis(genesis));
  const networkId = hashFromBytes(networkIdBytes);
  const rules: LedgerRules = {
    chainId: config.chainId,
    baseFeePerGas: config.baseFeePerGas,
    paymentLaneGasLimit: config.paymentLaneGasLimit,
    evmLaneGasLimit: config.evmLaneGasLimit,
    paymentLaneBytesMax: config.paymentLaneBytesMax,
  };
  const paramsHash = hashRules(rules);
  const timestampMs = genesis.timestamp * 1_000;
  const state = new Overlay(emptyState);
  for (const [address, { balance, contract }] of genesis.alloc) {
    state.setAccount(address, { ...EMPTY_ACCOUNT, balance });
    if (contract !== undefined) placeContract(state, address, contract);
  }
  foundContracts(state, genesis, networkId);
  const set = validatorSetIn(state);
  const { root, changes } = state.seal(EMPTY_TRIE_ROOT);
  const header: Header = {
    parentHash: ZERO_HASH,
    coinbase: ZERO_ADDRESS,
    stateRoot: root,
    transactionsRoot: EMPTY_TRIE_ROOT,
    receiptsRoot: EMPTY_TRIE_ROOT,
    logsBloom: new Uint8Array(BLOOM_BYTES),
    height: asHeight(0n),
    gasLimit: blockGasLimit(rules),
    gasUsed: asGas(0n),
    prevRandao: ZERO_HASH,
    baseFeePerGas: rules.baseFeePerGas,
    consensus: {
      networkId,
      epoch: asEpoch(0),
      view: asView(0),
      parentView: asView(0),
      proposerIndex: 0,
      timestampMs,
      epochEnd: false,
      validatorsHash: set.hash,
      nextValidatorsHash: set.hash,
      paramsHash,
    },
  };
  const held = [...genesis.alloc].map(([address, { balance }]) => [address, balance] as const);
  const staked = [VALIDATOR_REGISTRY, asWei(foundingStake(genesis))] as const;
  const history = [
    ...[...held, staked].map(([address, balance]) => genesisEntry(address, balance, timestampMs)),
    ...currencyEntries(genesis, timestampMs),
  ];
  return {
    chainId: config.chainId,
    networkId,
    paramsHash,
    rules,
    electorate: { set, epoch: asEpoch(0), networkId: networkIdBytes },
    genesis: { block: makeBlock(header, []), changes, history },
  };
}

/** As if it had been created: its code, its nonce and what its constructor left. */
function placeContract(
  state: Overlay,
  address: Address,
  { nonce, code, storage }: GenesisContract,
): void {
  const codeHash = state.setCode(code);
  state.changeAccount(address, (account) => ({ ...account, nonce, codeHash }));
  for (const [key, word] of storage) {
    state.setSlot(address, key.slice(2), trimSlot(hashToBytes(word)));
  }
}

/** Repeated in every header, so that a change of parameters shows in the block that makes it. */
function hashRules(rules: LedgerRules): Hash {
  return hashFromBytes(
    sha256(
      concatBytes(
        utf8('params/v1'),
        uintToBytes(rules.baseFeePerGas, 32),
        uintToBytes(rules.paymentLaneGasLimit, 8),
        uintToBytes(rules.evmLaneGasLimit, 8),
        uintToBytes(BigInt(rules.paymentLaneBytesMax), 8),
      ),
    ),
  );
}

/** What accounts have of currencies from the beginning: no log of a transaction tells of it. */
function currencyEntries({ currencies }: Genesis, timestampMs: number): HistoryEntry[] {
  return currencies.flatMap(({ currency, issuer, alloc }) => {
    const token = genesisTokenAddress(currency, issuer);
    return [...alloc].map(([account, amount]) =>
      genesisEntry(account, asWei(amount), timestampMs, token),
    );
  });
}
