import { uintToBytes } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { isPeerId, peerIdOfKey } from '#src/types/peerId.ts';
import { consortium } from './contract.ts';
import type { Session } from './session.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const KEY_BYTES = 32n;

/** Lets the members' nodes talk to one that is no validator's, or no longer. */
export async function setNode(session: Session, peerId: string, allowed: boolean): Promise<void> {
  const memberId = session.needMember();
  await session.send(consortium, 'setNode', [memberIdOf(memberId), keyOfPeerId(peerId), allowed]);
  session.report.say(
    allowed
      ? `node ${peerId} is a node of ${memberId}: the others let it in, validator or not`
      : `node ${peerId} is let in as a validator's only`,
    { peerId, allowed },
  );
}

/** False where somebody else is the admin, who alone may say so. */
export async function nameOwnNode(session: Session, peerId: string): Promise<boolean> {
  const { members } = await session.membership();
  const member = members.find(({ memberId }) => memberId === session.memberId);
  if (member?.admin !== session.wallet.address) return false;
  await setNode(session, peerId, true);
  return true;
}

/** The raw Ed25519 key that the text holds. */
export function keyOfPeerId(peerId: string): Uint8Array {
  let number = 0n;
  for (const letter of isPeerId(peerId) ? peerId : '') {
    number = number * 58n + BigInt(BASE58.indexOf(letter));
  }
  const key = uintToBytes(number % (1n << (8n * KEY_BYTES)), Number(KEY_BYTES));
  if (peerIdOfKey(key) === peerId) return key;
  throw new UserError(EXIT.usage, `"${peerId.slice(0, 80)}" is not a peer id (12D3KooW…)`);
}
