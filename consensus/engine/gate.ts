import type { Core } from '#consensus/core/core.ts';
import { FOREIGN, type Gate, UNWANTED } from './codec.ts';
import type { Ledger } from './ports.ts';
import type { Verifier } from './verifier.ts';

/** What is cheap to know comes first: a block that nobody asked for is not decoded. */
export function makeGate(core: Core, verifier: () => Verifier, ledger: Ledger): Gate {
  return {
    proposal: (vote) => {
      const { statement, signer } = vote;
      if (statement.epoch !== core.options.epoch) return FOREIGN;
      if (!core.wantsVote(statement)) return UNWANTED;
      if (signer !== core.options.schedule.leaderOf(statement.view)) return UNWANTED;
      return verifier().vote(vote) ? null : 'VOTE_SIGNATURE';
    },
    block: (bytes) => {
      const hash = ledger.hashOf(bytes);
      return hash !== null && core.wantsBlock(hash) ? null : UNWANTED;
    },
  };
}
