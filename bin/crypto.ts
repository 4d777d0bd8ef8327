import { availableParallelism } from 'node:os';
import { keccakBackend } from '#src/crypto/keccak.ts';
import { RecoveryThreads } from '#src/crypto/recoveryThreads.ts';
import { chooseSecp256k1 } from '#src/crypto/secp256k1.ts';
import type { Log } from '#src/lib/log.ts';
import { Senders } from '#src/pool/senders.ts';
import type { Config } from './config.ts';

/** Four recover 80,000 a second, more than one thread executes. */
const recoveryThreadsMax = 4;

/** Chooses the libraries for signatures and hashes, says which, and starts the threads. */
export async function openCrypto(config: Config, log: Log): Promise<Senders> {
  const secp256k1 = await chooseSecp256k1(config['crypto.secp256k1']);
  const recoveryThreads = threadsFor(config['crypto.recoveryThreads']);
  log.info('crypto', { secp256k1, ed25519: 'openssl', keccak: keccakBackend, recoveryThreads });
  if (secp256k1 === 'noble') log.warn('only the slow library for signatures', { times: 20 });
  return new Senders(
    recoveryThreads === 0 ? null : new RecoveryThreads(recoveryThreads, secp256k1),
  );
}

function threadsFor(wish: Config['crypto.recoveryThreads']): number {
  if (wish !== 'auto') return Number(wish);
  // One core stays with agreement and execution.
  return Math.min(recoveryThreadsMax, availableParallelism() - 1);
}
