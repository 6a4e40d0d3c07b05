#include "sim/sweep/failure.hpp"

#include <new>
#include <system_error>

#include "sim/base/error.hpp"

namespace kvr::sweep {

Failure failure_at_hand() {
  try {
    throw;
  } catch (const InputError& error) {
    return {kInputExit, error.what()};
  } catch (const SystemError& error) {
    return {kSystemExit, error.what()};
  } catch (const std::system_error& error) {
    return {kSystemExit, error.what()};
  } catch (const std::bad_alloc&) {
    return {kSystemExit, "there is not enough memory"};
  } catch (const PolicyFault& fault) {
    return {kBugExit, fmt::format("a policy is at fault: {}", fault.what())};
  } catch (const std::exception& error) {
    return {kBugExit, fmt::format("this is a bug in kvreplay: {}", error.what())};
  }
}

}  // namespace kvr::sweep
