@NullMarked
package holdfast.app.service;

import org.jspecify.annotations.NullMarked;
