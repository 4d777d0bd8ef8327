import type { Core } from '#consensus/core/core.ts';
import type { Message } from '#consensus/core/types.ts';

/**
 * What is left of a message when everything is taken out that could tell nothing: a signature that
 * decides nothing is not verified, so that genuine old ones cost their sender's time and not ours.
 * Null where nothing is left. Messages of other epochs are left as they are.
 */
export function withoutWaste(message: Message, from: string, core: Core): Message | null {
  const { epoch, set } = core.options;
  switch (message.t) {
    case 'certificate': {
      const { certificate } = message;
      if (certificate.statement.epoch !== epoch) return message;
      return core.wantsCertificate(certificate) ? message : null;
    }
    case 'certificates': {
      if (message.certificates[0]?.statement.epoch !== epoch) return message;
      const certificates = message.certificates.filter((one) => core.wantsCertificate(one));
      return certificates.length === 0 ? null : { ...message, certificates };
    }
    case 'proposal': {
      const { proposal } = message;
      const justify = proposal.justify.filter((one) => core.wantsCertificate(one));
      return { ...message, proposal: { ...proposal, justify } };
    }
    case 'recalled': {
      // Only what was asked for, of those who may have heard us, about our own key.
      const isPeer = set.validators.some(({ peerId }) => peerId === from);
      const isAsked = core.options.record !== 'proven' && isPeer;
      if (message.epoch !== epoch) return message;
      const votes = message.votes.filter(({ signer }) => signer === core.me);
      return isAsked ? { ...message, votes } : null;
    }
    default:
      return message;
  }
}

/** Whether the core will use more of a message than a view, to know whom to help. */
export function mustVerify(message: Message, core: Core): boolean {
  if (message.t === 'vote') {
    const { statement, signer } = message.vote;
    // A vote with our own key decides on whether this node goes on signing, however old it is.
    return signer === core.me || core.wantsVote(statement);
  }
  if (message.t === 'status') {
    return message.certificate !== null && core.wantsCertificate(message.certificate);
  }
  return true;
}
