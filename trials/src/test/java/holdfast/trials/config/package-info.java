/** The configuration, held against the installed OpenSSH's. */
@NullMarked
package holdfast.trials.config;

import org.jspecify.annotations.NullMarked;
