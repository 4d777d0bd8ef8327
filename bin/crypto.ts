import { availableParallelism } from 'node:os';
import { keccakBackend } from '#src/crypto/keccak.ts';
import { RecoveryThreads } from '#src/crypto/recoveryThreads.ts';
import { chooseSecp256k1 } from '#src/crypto/secp256k1.ts';
import type { Log } from '#src/lib/log.ts';
import { Senders } from '#src/pool/senders.ts';
import type { Config } from './config.ts';

/** With fewer cores a thread would only take time from the one that agrees on blocks. */
const coresForThreadsMin = 4;
const recoveryThreadsMax = 4;

/** Chooses the libraries for signatures and hashes, says which, and starts the threads. */
export async function openCrypto(config: Config, log: Log): Promise<Senders> {
  const secp256k1 = await chooseSecp256k1(config['crypto.secp256k1']);
  const recoveryThreads = threadsFor(config['crypto.recoveryThreads']);
  log.info('crypto', { secp256k1, ed25519: 'openssl', keccak: keccakBackend, recoveryThreads });
  if (secp256k1 === 'noble') log.warn('only the slow library for signatures', { times: 20 });
  return new Senders(
    recoveryThreads === 0 ? null : RecoveryThreads.open(recoveryThreads, secp256k1),
  );
}

function threadsFor(wish: Config['crypto.recoveryThreads']): number {
  if (wish !== 'auto') return Number(wish);
  const cores = availableParallelism();
  return cores < coresForThreadsMin ? 0 : Math.min(recoveryThreadsMax, cores - 2);
}
