/**
 * What TokenFactory keeps. Storage: 0 chainId, 1 byCurrency, 2 currencies.
 */
import type { StateReader } from '../../state/reader.ts';
import { TOKEN_FACTORY } from '../addresses.ts';
import { address, array, fixedBytes, mapping, storage, uint } from '../storage.ts';

export const factory = storage(TOKEN_FACTORY, {
  /** For what is signed (EIP-712); written once, with the genesis. */
  chainId: uint(64),
  byCurrency: mapping(fixedBytes(3), array(address)),
  /** Those of which there is a token. */
  currencies: array(fixedBytes(3)),
});

export function chainIdIn(state: StateReader): bigint {
  return factory.chainId.get(state);
}
