/**
 * A byte stream that outlives the connections that carry it: PROTOCOL.md as pure state machines.
 *
 * <p>{@link holdfast.core.tether.Tether} is one end's bytes, {@link holdfast.core.tether.Carriers}
 * the decision when to doubt a carrier, bring the next and give up, {@link
 * holdfast.core.tether.Resumption} who may bring one.
 */
@NullMarked
package holdfast.core.tether;

import org.jspecify.annotations.NullMarked;
