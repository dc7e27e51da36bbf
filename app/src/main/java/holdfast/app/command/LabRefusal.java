package holdfast.app.command;

/** Why there is no lab: one line for the person, and the status to leave with. */
final class LabRefusal extends Exception {

    private static final long serialVersionUID = 1;

    final int status;

    private LabRefusal(String text, int status) {
        super(text, null, false, false);
        this.status = status;
    }

    /** What was asked for is wrong: status 2. */
    static LabRefusal usage(String text) {
        return new LabRefusal(text, 2);
    }

    /** It cannot be done here and now: status 1. */
    static LabRefusal cannot(String text) {
        return new LabRefusal(text, 1);
    }
}
