import { Command } from 'commander';
import { createCommand } from './sales/orderCreation.ts';
import {
  cancelCommand,
  captureCommand,
  consentCommand,
  expireCommand,
  payOrderCommand,
  reclaimCommand,
  refundCommand,
  rejectCommand,
  routeCommand,
  showOrderCommand,
  voidCommand,
} from './sales/orders.ts';

export function orderCommand(): Command {
  return new Command('order')
    .description('a sale: ask for a payment, take it in one step or later, give it back')
    .addCommand(createCommand())
    .addCommand(showOrderCommand())
    .addCommand(routeCommand())
    .addCommand(rejectCommand())
    .addCommand(consentCommand())
    .addCommand(payOrderCommand())
    .addCommand(captureCommand())
    .addCommand(voidCommand())
    .addCommand(cancelCommand())
    .addCommand(refundCommand())
    .addCommand(reclaimCommand())
    .addCommand(expireCommand());
}
